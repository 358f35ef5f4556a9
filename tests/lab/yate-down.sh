#!/bin/sh
# Stops a Yate that yate-up.sh has started, and its file server: yate-down.sh FOLDER
set -eu
for name in yate http; do
    [ -f "$1/$name.pid" ] && kill "$(cat "$1/$name.pid")" 2>/dev/null || true
    rm -f "$1/$name.pid"
done
