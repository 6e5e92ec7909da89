#!/usr/bin/env bash
# Builds the `ery` of the last release from its tag, and tries an upgrade from it: tests/tests/upgrade.rs.
#
# The last release is the newest tag `v…` that the present commit came from. Before there is one, this
# says that it was skipped. What was built is kept: target/upgrade/TAG/ery.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
readonly root target

if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    echo "upgrade-test: this clone is shallow and may lack the last release: git fetch --unshallow --tags" >&2
    exit 1
fi

tag=$(git tag --list 'v[0-9]*' --merged HEAD --no-contains HEAD --sort=-version:refname | head -n 1)
if [ -z "$tag" ]; then
    echo "upgrade-test: skipped: no tag v… before this commit: there is no release yet, or its tags were not fetched"
    exit 0
fi

readonly older=$target/upgrade/$tag/ery
if [ ! -x "$older" ] || [ "$(cat "$older.commit" 2>/dev/null)" != "$(git rev-parse "$tag^{commit}")" ]; then
    echo "upgrade-test: building $tag"
    source=$target/upgrade/$tag/source
    rm -rf "$source"
    mkdir -p "$source"
    git archive "$tag" | tar -x -C "$source"
    # In a folder of its own: cargo takes crates of the same name in two clones for the same, and a file
    # of the release, which is older, for one that did not change.
    (cd "$source" && cargo build --locked --workspace --bins --target-dir "$target/upgrade/$tag/target")
    cp "$target/upgrade/$tag/target/debug/ery" "$older"
    git rev-parse "$tag^{commit}" >"$older.commit"
    rm -rf "$source" "$target/upgrade/$tag/target"
fi

cargo build --workspace --all-targets
echo "upgrade-test: from $tag to $(git describe --tags --always)"
ERY_TEST_OLDER=$older cargo nextest run --workspace --run-ignored only \
    -E 'package(ery-tests) and binary(upgrade)'
