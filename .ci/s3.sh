#!/usr/bin/env bash
# Installs moto's server, which speaks S3's protocol and backups are tried with, into `.tools`.
#
# Does nothing where that version is there.
set -euo pipefail

readonly PACKAGES=("moto[server]==5.2.5")

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly folder="$root/.tools/moto"
readonly stamp="$folder/.installed"

fail() {
    echo "s3: $1" >&2
    exit 1
}

[ "$(cat "$stamp" 2>/dev/null)" = "${PACKAGES[*]}" ] && exit 0
python3 -m pip --version >/dev/null 2>&1 ||
    fail "there is no python3 with pip to install ${PACKAGES[*]} with"
echo "s3: installing ${PACKAGES[*]} into .tools"
rm -rf "$folder"
mkdir -p "$folder"
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --target "$folder" "${PACKAGES[@]}" || fail "pip could not install ${PACKAGES[*]}"
echo "${PACKAGES[*]}" >"$stamp"
