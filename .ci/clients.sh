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

# shellcheck source=.ci/pip.sh
source "$root/.ci/pip.sh"

python_packages clients "$root/.tools/discord.py" "${DISCORD_PY[@]}"
python_packages clients "$root/.tools/mcp" "${MCP[@]}"
