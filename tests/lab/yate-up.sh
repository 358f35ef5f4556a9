#!/bin/sh
# Starts an installed Yate for tests, on a loopback address of its own.
#
#   yate-up.sh PREFIX FOLDER BIND
#
#   PREFIX  where Yate is installed: bin/yate, lib/yate, share/yate
#   FOLDER  where configuration, files and log of the instance are kept (created)
#   BIND    loopback address this instance binds to, e.g. 127.0.20.1
#
# Environment (all optional):
#   UA_ADDR    host:port of the phones 1001..1008 (default: BIND+1:5060)
#   YATE_SETUP folder with the printed files, if not those of this source tree
#   YATE_TRIES how often it is looked whether it is up, every 0.2 s (default 50)
#   HTTP_PORT  port of the file server of recordings (default 8088; needs python3)
#
# Ports: SIP UDP 5060, external module 5039, files HTTP 8088, RTP 20000-29998.
# Stop with: yate-down.sh FOLDER
set -eu

[ $# -ge 3 ] || { sed -n '2,18p' "$0"; exit 2; }
PREFIX=$1; DIR=$2; BIND=$3
nextip() { echo "$1" | awk -F. -v n="$2" '{printf "%d.%d.%d.%d\n",$1,$2,$3,$4+n}'; }
UA_ADDR=${UA_ADDR:-$(nextip "$BIND" 1):5060}
HTTP_PORT=${HTTP_PORT:-8088}
SETUP=${YATE_SETUP:-$(cd "$(dirname "$0")/../../src/cli/setup/yate" && pwd)}
mkdir -p "$DIR/conf" "$DIR/recordings"
DIR=$(cd "$DIR" && pwd)
C=$DIR/conf

# what setup prints, filled in as an operator would
fill() { sed -e "s|{bindaddr}|$BIND|; s|{permit}|127.0.0.1/32|" "$SETUP/$1"; }
fill extmodule.conf >"$C/extmodule.conf"
fill yate.conf >"$C/yate.conf"
cat >>"$C/yate.conf" <<END

[general]
modload=no
nodename=lab
addworkers=4
warntime=0

[telephony]
maxroute=0
dtmfdups=no

[modules]
regexroute.yate=yes
tonedetect.yate=yes
END

cat >"$C/ysipchan.conf" <<END
[general]
type=udp
addr=$BIND
port=5060
udp_force_bind=no
nat=no
transfer=yes
floodevents=2000
buffer=4194304

[registrar]
auth_required=no

[codecs]
default=no
mulaw=yes
END

cat >"$C/yrtpchan.conf" <<END
[general]
minport=20000
maxport=29998
localip=$BIND
defsleep=20
END

printf '[general]\nresolution=msec\nupdates=yes\n' >"$C/cdrbuild.conf"
printf '[general]\n' >"$C/tonegen.conf"

cat >"$C/regexroute.conf" <<END
[priorities]
preroute=100
route=100

[default]
^100[1-8]\$=sip/sip:\\0@$UA_ADDR
^604\$=conf/lobby;lonely=yes
END

# silence, and a tone of 400 Hz for music: 16 bits, 8000 Hz, one channel
head -c 160000 /dev/zero >"$DIR/silence.slin"
python3 - "$DIR/music.slin" <<'END'
import math, struct, sys
tone = [int(6000 * math.sin(math.tau * 400 * n / 8000)) for n in range(80000)]
open(sys.argv[1], "wb").write(struct.pack("<%dh" % len(tone), *tone))
END

rm -f "$DIR/yate.log"
python3 -m http.server --bind "$BIND" --directory "$DIR/recordings" "$HTTP_PORT" </dev/null >/dev/null 2>&1 &
echo $! >"$DIR/http.pid"
ulimit -n 65536 2>/dev/null || true
LD_LIBRARY_PATH="$PREFIX/lib" "$PREFIX/bin/yate" -m "$PREFIX/lib/yate" -e "$PREFIX/share/yate" -c "$C" -n yate -N lab \
    -l "$DIR/yate.log" -Dn -F -vvv </dev/null >/dev/null 2>&1 &
echo $! >"$DIR/yate.pid"
i=0
while [ $i -lt "${YATE_TRIES:-50}" ]; do
    if grep -q 'engine is initialized' "$DIR/yate.log" 2>/dev/null; then
        echo "yate up: external module $BIND:5039, SIP $BIND:5060, files http://$BIND:$HTTP_PORT, sounds in $DIR"
        exit 0
    fi
    sleep 0.2; i=$((i + 1))
done
echo "yate did not report ready; see $DIR/yate.log" >&2
exit 1
