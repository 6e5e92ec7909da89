#!/bin/sh
# Runs before everything else in the stack: makes its secrets once, and lays down who reads which.
#
# Each secret is a file that its reader alone can open, in a volume that is mounted only where it is
# used. To rotate one, remove its file and start again (docs/operations.md).
set -eu
umask 077

# Who the containers run as.
readonly ery=65532:65532 nats=1000:1000 redis=999:999

cluster=/secrets/cluster discord=/secrets/discord ai=/secrets/ai store=/secrets/store

# As whom each comes to NATS and Redis: it alone reads its passwords.
readonly services="gateway orchestrator ai-service tool-service store console"

stop() {
    echo "setup: $1" >&2
    exit 1
}

# Writes what stands on standard input to file $1, for owner $2, all of it or nothing.
write() {
    cat >"$1.new"
    chmod 0400 "$1.new"
    chown "$2" "$1.new"
    mv "$1.new" "$1"
}

# Makes a secret of 256 bits in file $1, for owner $2, unless it is there.
make() {
    [ -s "$1" ] || head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' | write "$1" "$2"
}

for folder in "$cluster" "$discord" "$ai" "$store"; do chown "$ery" "$folder"; done
chown "$nats" /secrets/nats /data/nats
chown "$redis" /secrets/redis /data/redis

make "$cluster/credential" "$ery"
make /secrets/nats/jetstream_key "$nats"
make "$store/key" "$ery"

# Of versions in which all services had one user.
rm -f "$cluster/nats_password" "$cluster/redis_password" "$cluster/redis_url"

replaced="s/JETSTREAM_KEY_VALUE/$(cat /secrets/nats/jetstream_key)/"
for service in $services; do
    folder="/secrets/servers/$service"
    chown "$ery" "$folder"
    make "$folder/nats_password" "$ery"
    make "$folder/redis_password" "$ery"
    echo "redis://$service:$(cat "$folder/redis_password")@redis:6379/0" | write "$folder/redis_url" "$ery"
    name=$(echo "$service" | tr a-z- A-Z_)
    # With its quotes, or the end of the word: one name may begin as another does.
    replaced="$replaced; s/NATS_PASSWORD_$name\"/$(cat "$folder/nats_password")\"/"
    replaced="$replaced; s/REDIS_PASSWORD_$name /$(cat "$folder/redis_password") /"
done
sed "$replaced" /templates/users.acl | write /secrets/redis/users.acl "$redis"
sed "$replaced" /templates/nats-auth.conf | write /secrets/nats/auth.conf "$nats"

# Which Discord: the simulated one if the profile `playground` left its mark, else the real one.
mode=discord
if [ -e "$discord/is_playground" ]; then
    mode=playground
    rm "$discord/is_playground"
fi
known=$(cat "$discord/mode" 2>/dev/null || echo "$mode")
[ "$known" = "$mode" ] || stop "these volumes belong to a stack that was started for '$known', and this is '$mode': \
what the store knows of one Discord is wrong in the other. Start it as before, give it another project name (-p NAME), \
or throw the volumes away (docker compose --profile '*' down --volumes)"

if [ "$mode" = playground ]; then
    echo sim-token-ery | write "$discord/token" "$ery"
    write "$discord/ery.toml" "$ery" <<TOML
[discord]
token_file = "/run/ery/discord/token"
api_url = "http://sim-discord:8711/api/v10"
gateway_url = "ws://sim-discord:8711"
TOML
else
    [ -s /run/secrets/discord_token ] || stop "there is no bot token. Put it into a file and name that by \
ERY_DISCORD_TOKEN_FILE (see .env.example), or try Ery without one: docker compose --profile playground up"
    write "$discord/token" "$ery" </run/secrets/discord_token
    write "$discord/ery.toml" "$ery" <<TOML
[discord]
token_file = "/run/ery/discord/token"
TOML
fi
echo "$mode" | write "$discord/mode" "$ery"

if [ -s /run/secrets/ai_api_key ]; then
    write "$ai/api_key" "$ery" </run/secrets/ai_api_key
    write "$ai/ery.toml" "$ery" <<TOML
[ai]
api_key_file = "/run/ery/ai/api_key"
TOML
else
    rm -f "$ai/api_key"
    echo '# There is no key for a model provider.' | write "$ai/ery.toml" "$ery"
fi

echo "setup: ready for $mode"
