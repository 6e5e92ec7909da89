#!/usr/bin/env bash
# Makes stand-ins for the public images that the compose file names, under their names, where an
# engine has none of them and cannot pull: from the system's packages, and the nats-server in
# `.tools`. An image that is there already is left alone.
#
# They are for trying the stack, never for running it: nobody keeps them up to date.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly release=bookworm

fail() {
    echo "images: $1" >&2
    exit 1
}

has_image() {
    docker image inspect "$1" >/dev/null 2>&1
}

# The name that the compose file gives the image of service `$1`.
named() {
    sed -n "/^  $1:/,/^    image:/s/^    image: *//p" "$root/docker-compose.yml" | head -n 1
}

debootstrap() {
    command -v mmdebstrap >/dev/null || fail "mmdebstrap is not installed (apt-get install mmdebstrap)"
    mmdebstrap --quiet --variant="$1" --include="$2" "${@:3}" "$release" -
}

readonly runtime=$(sed -n 's/^ARG RUNTIME_IMAGE=//p' "$root/deploy/Dockerfile")
readonly nats=$(named nats)
readonly redis=$(named redis)
[ -n "$runtime" ] && [ -n "$nats" ] && [ -n "$redis" ] || fail "could not read which images are needed"

if ! has_image "$runtime"; then
    echo "images: making a stand-in for $runtime"
    # No shell and no package manager in it, like the real one.
    # Unpacked and not set up, so that the file of authorities is put together here.
    debootstrap extract base-files,libc6,libgcc-s1,libssl3,ca-certificates,netbase,tzdata \
        --extract-hook='cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$1"/etc/ssl/certs/ca-certificates.crt' |
        docker import --change 'USER 65532' - "$runtime" >/dev/null
fi

if ! has_image "$redis" || ! has_image "$nats"; then
    base=ery-stand-in:base
    has_image "$base" || {
        echo "images: making a stand-in for $redis and $nats"
        debootstrap minbase redis-server,busybox | docker import - "$base" >/dev/null
    }
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    server=$root/.tools/bin/nats-server
    [ -x "$server" ] || server=$(command -v nats-server) || fail "there is no nats-server; run .ci/servers.sh"
    cp "$(readlink -f "$server")" "$folder/nats-server"
    has_image "$redis" || docker build --quiet --tag "$redis" - >/dev/null <<DOCKERFILE
FROM $base
RUN rm -rf /etc/redis && groupmod -g 999 redis && usermod -u 999 redis && mkdir -p /data && chown redis:redis /data
WORKDIR /data
CMD ["redis-server"]
DOCKERFILE
    cat >"$folder/Dockerfile" <<DOCKERFILE
FROM $base
COPY nats-server /usr/local/bin/nats-server
RUN busybox --install -s /usr/local/bin || true
CMD ["nats-server", "--config", "/etc/nats/nats-server.conf"]
DOCKERFILE
    has_image "$nats" || docker build --quiet --tag "$nats" "$folder" >/dev/null
fi
