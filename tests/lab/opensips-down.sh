#!/bin/sh
# Stops an instance started by opensips-up.sh:  opensips-down.sh FOLDER BIND
# With PURGE=1 its folder goes too.
set -eu
[ $# -eq 2 ] || { sed -n '2,3p' "$0"; exit 2; }
I=$1/opensips-$2
[ -d "$I" ] || exit 0
if [ -s "$I/pid" ]; then
    PID=$(cat "$I/pid")
    if kill -TERM "$PID" 2>/dev/null; then
        i=0
        while kill -0 "$PID" 2>/dev/null; do
            i=$((i+1)); [ $i -gt 80 ] && { kill -KILL "$PID"; break; }
            sleep 0.1
        done
        echo "stopped $PID"
    fi
    rm -f "$I/pid"
fi
[ "${PURGE:-0}" = 1 ] && rm -rf "$I"
exit 0
