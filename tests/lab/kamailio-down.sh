#!/bin/sh
# Stops an instance started by kamailio-up.sh:  kamailio-down.sh FOLDER BIND
# With PURGE=1 its folder goes too.
set -eu
[ $# -eq 2 ] || { sed -n '2,3p' "$0"; exit 2; }
I=$1/kamailio-$2
[ -d "$I" ] || exit 0
I=$(cd "$I" && pwd)
if [ -s "$I/run/pid" ]; then
    PID=$(cat "$I/run/pid")
    if kill -TERM "$PID" 2>/dev/null; then
        i=0
        while kill -0 "$PID" 2>/dev/null; do
            i=$((i+1)); [ $i -gt 80 ] && { kill -KILL "$PID"; break; }
            sleep 0.1
        done
        echo "stopped $PID"
    fi
    rm -f "$I/run/pid"
fi
ROOT=${KAM_ROOT:-}
if [ -n "$ROOT" ] && mountpoint -q "$ROOT$I"; then umount "$ROOT$I"; fi
[ "${PURGE:-0}" = 1 ] && rm -rf "$I"
exit 0
