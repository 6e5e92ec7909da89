#!/bin/sh
# Takes a snapshot, waits until it can be restored from, and only then deletes those that are too old.
set -eu
name=$(kubectl create -f /snapshot/snapshot.yaml -o name)
kubectl wait "$name" --for=jsonpath='{.status.readyToUse}'=true --timeout=20m
oldest=$(date -u -d "@$(($(date +%s) - KEEP_DAYS * 86400))" +%Y-%m-%dT%H:%M:%SZ)
kubectl get volumesnapshots -l app.kubernetes.io/name=store-snapshot \
    -o jsonpath='{range .items[*]}{.metadata.creationTimestamp} {.metadata.name}{"\n"}{end}' |
    while read -r made snapshot; do
        # Times of this form sort as texts do.
        [ "$(printf '%s\n%s\n' "$made" "$oldest" | sort | head -n 1)" != "$made" ] ||
            kubectl delete volumesnapshot "$snapshot"
    done
