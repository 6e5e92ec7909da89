#!/usr/bin/env bash
# Installs discord.py, the client library that the simulated Discord is tried with, into `.tools`.
#
# Does nothing where that version is there. It is driven unmodified, by tests/clients/discord_py.py.
set -euo pipefail

# zstandard is what makes discord.py ask for zstd-stream; the trial hides it to get zlib-stream.
readonly PACKAGES=(discord.py==2.7.1 zstandard==0.25.0)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly folder="$root/.tools/discord.py"
readonly stamp="$folder/.installed"

fail() {
    echo "clients: $1" >&2
    exit 1
}

[ "$(cat "$stamp" 2>/dev/null)" = "${PACKAGES[*]}" ] && exit 0
python3 -m pip --version >/dev/null 2>&1 ||
    fail "there is no python3 with pip to install ${PACKAGES[*]} with"
echo "clients: installing ${PACKAGES[*]} into .tools"
rm -rf "$folder"
mkdir -p "$folder"
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --target "$folder" "${PACKAGES[@]}" || fail "pip could not install ${PACKAGES[*]}"
echo "${PACKAGES[*]}" >"$stamp"
