#!/usr/bin/env bash
# Installs the client libraries that Ery is tried with, unmodified, each into its own folder in `.tools`:
# discord.py drives the simulated Discord (tests/clients/discord_py.py), and the official SDK of MCP
# drives the console (tests/clients/mcp_client.py).
#
# Does nothing where those versions are there.
set -euo pipefail

# zstandard is what makes discord.py ask for zstd-stream; the trial hides it to get zlib-stream.
readonly DISCORD_PY=(discord.py==2.7.1 zstandard==0.25.0)
readonly MCP=(mcp==2.3.0)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    echo "clients: $1" >&2
    exit 1
}

# install FOLDER PACKAGE...
install() {
    local folder="$root/.tools/$1" stamp="$root/.tools/$1/.installed"
    shift
    [ "$(cat "$stamp" 2>/dev/null)" = "$*" ] && return
    python3 -m pip --version >/dev/null 2>&1 || fail "there is no python3 with pip to install $* with"
    echo "clients: installing $* into .tools"
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target "$folder" "$@" || fail "pip could not install $*"
    echo "$*" >"$stamp"
}

install discord.py "${DISCORD_PY[@]}"
install mcp "${MCP[@]}"
