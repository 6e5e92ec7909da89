#!/usr/bin/env bash
# Installs moto's server, which speaks S3's protocol and backups are tried with, into `.tools`.
#
# Does nothing where that version is there.
set -euo pipefail

readonly PACKAGES=("moto[server]==5.2.5")

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=.ci/pip.sh
source "$root/.ci/pip.sh"

python_packages s3 "$root/.tools/moto" "${PACKAGES[@]}"
