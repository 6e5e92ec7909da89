#!/usr/bin/env bash
# Installs aimock, a server of model APIs, which the providers are tried with, into `.tools`.
#
# Does nothing where that version is there.
set -euo pipefail

readonly PACKAGE=@copilotkit/aimock@1.43.0

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly folder="$root/.tools/aimock"
readonly stamp="$folder/.installed"

fail() {
    echo "models: $1" >&2
    exit 1
}

[ "$(cat "$stamp" 2>/dev/null)" = "$PACKAGE" ] && exit 0
npm --version >/dev/null 2>&1 || fail "there is no npm to install $PACKAGE with"
echo "models: installing $PACKAGE into .tools"
rm -rf "$folder"
mkdir -p "$folder"
npm install --silent --no-audit --no-fund --prefix "$folder" "$PACKAGE" ||
    fail "npm could not install $PACKAGE"
echo "$PACKAGE" >"$stamp"
