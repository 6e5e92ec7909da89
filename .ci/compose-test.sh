#!/usr/bin/env bash
# Tries docker-compose.yml on a real engine: `.ci/compose-test.sh ERY TRIAL`, with the two programs.
#
# Where no engine runs, one is installed, started for the time of the trial, and stopped again. Images
# that are not there are stood in for (images.sh); the image of Ery is made around the given binary.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root ery=$1 trial=$2
readonly image=ery:trial
folder=$(mktemp -d)
readonly folder
engine=

fail() {
    echo "compose-test: $1" >&2
    exit 1
}

end() {
    rm -rf "$folder"
    [ -z "$engine" ] || { kill "$engine" && wait "$engine" || true; }
}
trap end EXIT

install() {
    command -v apt-get >/dev/null || fail "$1 is not there, and no apt-get to install it with"
    [ "$(id -u)" -eq 0 ] || fail "$1 is not there, and only root can install it"
    echo "compose-test: installing $2"
    # The service is not wanted: the trial starts its own engine.
    local policy=/usr/sbin/policy-rc.d made_policy=
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made_policy=yes; }
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
    [ -z "$made_policy" ] || rm -f "$policy"
}

start_engine() {
    docker info >/dev/null 2>&1 && return
    command -v dockerd >/dev/null || install dockerd docker.io
    [ "$(id -u)" -eq 0 ] || fail "no Docker engine runs, and only root can start one"
    echo "compose-test: starting an engine"
    dockerd >"${TMPDIR:-/tmp}/ery-compose-test-dockerd.log" 2>&1 &
    engine=$!
    for _ in $(seq 60); do
        docker info >/dev/null 2>&1 && return
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 5 "${TMPDIR:-/tmp}/ery-compose-test-dockerd.log" >&2
    fail "the engine did not start"
}

start_engine
command -v mmdebstrap >/dev/null || install mmdebstrap mmdebstrap
"$root/.ci/servers.sh"
"$root/.ci/deploy.sh"
"$root/.ci/images.sh"

mkdir "$folder/data"
cp "$ery" "$folder/ery"
strip "$folder/ery"
docker build --quiet --tag "$image" --file "$root/deploy/packaged.Dockerfile" "$folder" >/dev/null

cd "$root"
export ERY_IMAGE=$image PYTHONPATH="$root/.tools/deploy/python"
"$trial" --compose "$root/.tools/deploy/python/bin/docker-compose" "${@:3}"
