#!/usr/bin/env bash
# Installs the system's packages that the build needs, where they are missing.
set -euo pipefail
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
# SQLCipher is compiled against OpenSSL's libcrypto.
[ -e /usr/include/openssl/crypto.h ] || missing+=(libssl-dev)
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "install with your package manager: a C compiler and OpenSSL's headers (libssl-dev)" >&2
  exit 1
fi
SUDO=$([ "$(id -u)" -eq 0 ] || echo sudo)
$SUDO apt-get update -qq
DEBIAN_FRONTEND=noninteractive $SUDO apt-get install -y -qq --no-install-recommends "${missing[@]}"
