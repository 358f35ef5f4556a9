#!/bin/sh
# Stops an instance started by asterisk-up.sh:  asterisk-down.sh FOLDER BIND
# With PURGE=1 its configuration and recordings go too (the root file system
# is kept; delete FOLDER to remove that).
set -eu
[ $# -eq 2 ] || { sed -n '2,4p' "$0"; exit 2; }
for P in "$1"/root-*/inst/"$2"/pid; do
    [ -s "$P" ] || continue
    PID=$(cat "$P")
    if kill -TERM "$PID" 2>/dev/null; then
        i=0
        while kill -0 "$PID" 2>/dev/null; do
            i=$((i+1)); [ $i -gt 50 ] && { kill -KILL "$PID"; break; }
            sleep 0.1
        done
        echo "stopped $PID"
    fi
    : > "$P"
    [ "${PURGE:-0}" = 1 ] && rm -rf "$(dirname "$P")" || true
done
