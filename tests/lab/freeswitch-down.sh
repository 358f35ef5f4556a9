#!/bin/sh
# Stops what freeswitch-up.sh started: sh freeswitch-down.sh FOLDER
set -eu
pid=$(cat "${1:?folder}/run/lab.pid")
kill -TERM "$pid"
for _ in $(seq 1 50); do
    kill -0 "$pid" 2> "$1/log/wait.txt" || exit 0
    sleep 0.2
done
kill -KILL "$pid"
