#!/bin/sh
# Gets and starts one throw-away Asterisk for tests, from the mirror of this system's own apt sources.
#
#   asterisk-up.sh FOLDER BIND [SUITE]
#
#   FOLDER  where root file systems and instances are kept (created)
#   BIND    loopback address this instance binds to, e.g. 127.0.10.1
#   SUITE   Debian suite: forky = Asterisk 22 (default), bullseye = Asterisk 16
#
# Environment (all optional):
#   UA_ADDR     host:port of the phones 1001..1008   (default: BIND+1:5060)
#   TRUNK_ADDR  host:port of the trunk peer          (default: BIND+2:5060)
#   MIRROR      Debian mirror (default: the one in this system's apt sources)
#   KEEP_CONF=1 do not rewrite the configuration if the instance exists
#   BOOTSTRAP=debootstrap  do not use mmdebstrap even if it is there
#   HTTP_PORT   port for HTTP/ARI (default 8088; HTTPS is the next one)
#   STYLE=issabel  contexts and accounts as inside of an Issabel, no ARI; the web server is not here (the test brings it)
#
# Needs root. Uses mmdebstrap when installed, else debootstrap. Prints the
# ports and accounts when the AMI answers "fully booted".
# Stop with: asterisk-down.sh FOLDER BIND
set -eu

[ $# -ge 2 ] || { sed -n '2,24p' "$0"; exit 2; }
DIR=$1; BIND=$2; SUITE=${3:-forky}
# What `ifbus setup asterisk` prints is what the laboratory runs.
SETUP=$(cd "$(dirname "$0")/../../src/cli/setup/asterisk" && pwd)
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' | grep -m1 '/debian/*$')}
HTTP_PORT=${HTTP_PORT:-8088}
STYLE=${STYLE:-lab}
INSIDE=internal; SYSTEM="systemname = lab"; ARI=yes
[ "$STYLE" = issabel ] && { INSIDE=from-internal; SYSTEM=""; ARI=no; }
PKGS="asterisk,asterisk-modules,asterisk-core-sounds-en-wav"

nextip() { echo "$1" | awk -F. -v n="$2" '{printf "%d.%d.%d.%d\n",$1,$2,$3,$4+n}'; }
UA_ADDR=${UA_ADDR:-$(nextip "$BIND" 1):5060}
TRUNK_ADDR=${TRUNK_ADDR:-$(nextip "$BIND" 2):5060}

mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
ROOT=$DIR/root-$SUITE
INST=/inst/$BIND              # path as seen inside the root file system
I=$ROOT$INST

# ---- 1. root file system (once per suite) ---------------------------------
if [ ! -e "$ROOT/.complete" ]; then
    rm -rf "$ROOT"
    # documentation, manual pages, translations and spoken demo sets that no
    # test plays are not unpacked: this halves the size
    if [ "${BOOTSTRAP:-}" != debootstrap ] && command -v mmdebstrap >/dev/null 2>&1; then
        mmdebstrap --quiet --variant=apt --include="$PKGS" \
            --aptopt='Acquire::Check-Valid-Until "false"' \
            --dpkgopt='path-exclude=/usr/share/doc/*' \
            --dpkgopt='path-exclude=/usr/share/man/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' \
            --dpkgopt='path-exclude=/usr/share/asterisk/sounds/*/digits/*' \
            --dpkgopt='path-exclude=/usr/share/asterisk/sounds/*/letters/*' \
            --dpkgopt='path-exclude=/usr/share/asterisk/sounds/*/phonetic/*' \
            "$SUITE" "$ROOT" "$MIRROR"
    else
        S=/usr/share/debootstrap/scripts     # an old debootstrap does not know new names
        [ -e "$S/$SUITE" ] || S=$S/sid
        [ -e "$S/$SUITE" ] && S=$S/$SUITE
        debootstrap --variant=minbase "$SUITE" "$ROOT" "$MIRROR" "$S"
        printf 'Acquire::Check-Valid-Until "false";\nAPT::Install-Recommends "false";\n' \
            > "$ROOT/etc/apt/apt.conf.d/99lab"
        printf '#!/bin/sh\nexit 101\n' > "$ROOT/usr/sbin/policy-rc.d"
        chmod 755 "$ROOT/usr/sbin/policy-rc.d"
        chroot "$ROOT" apt-get update -qq
        DEBIAN_FRONTEND=noninteractive chroot "$ROOT" \
            apt-get install -y -qq $(echo "$PKGS" | tr , ' ')
        rm -rf "$ROOT"/var/cache/apt/archives/*.deb "$ROOT"/var/lib/apt/lists/*
    fi
    touch "$ROOT/.complete"
fi
MODDIR=/usr/lib/x86_64-linux-gnu/asterisk/modules
[ -d "$ROOT$MODDIR" ] || MODDIR=/usr/lib/asterisk/modules

if [ -s "$I/pid" ] && kill -0 "$(cat "$I/pid")" 2>/dev/null; then
    echo "already running: pid $(cat "$I/pid")"; exit 0
fi

# ---- 2. configuration ------------------------------------------------------
if [ "${KEEP_CONF:-0}" != 1 ] || [ ! -d "$I/etc" ]; then
rm -rf "$I"
for d in etc run log spool/monitor spool/recording spool/tmp spool/outgoing lib/moh lib/db cache; do
    mkdir -p "$I/$d"
done
E=$I/etc
# things the daemon expects under astvarlibdir
for d in documentation rest-api; do
    for s in "$ROOT/usr/share/asterisk/$d" "$ROOT/var/lib/asterisk/$d"; do
        [ -e "$s" ] && { cp -r "$s" "$I/lib/"; break; }
    done
done

cat > "$E/asterisk.conf" <<X
[directories]
astetcdir => $INST/etc
astmoddir => $MODDIR
astvarlibdir => $INST/lib
astdbdir => $INST/lib/db
astkeydir => $INST/lib
astdatadir => /usr/share/asterisk
astagidir => /usr/share/asterisk/agi-bin
astspooldir => $INST/spool
astrundir => $INST/run
astlogdir => $INST/log
astcachedir => $INST/cache
[options]
transmit_silence = yes
$SYSTEM
documentation_language = en_US
maxfiles = 20000
hideconnect = yes
X

# no configuration file, no module: everything that would open a socket on
# all addresses is refused explicitly as well
cat > "$E/modules.conf" <<X
[modules]
autoload = yes
noload = chan_sip.so
noload = chan_iax2.so
noload = chan_mgcp.so
noload = chan_skinny.so
noload = chan_unistim.so
noload = chan_ooh323.so
noload = chan_motif.so
noload = chan_mobile.so
noload = chan_console.so
noload = chan_dahdi.so
noload = pbx_dundi.so
noload = pbx_ael.so
noload = pbx_lua.so
noload = pbx_realtime.so
noload = res_ael_share.so
noload = res_snmp.so
noload = res_xmpp.so
noload = res_odbc.so
noload = res_config_ldap.so
noload = res_config_pgsql.so
noload = res_config_odbc.so
noload = res_calendar.so
noload = res_phoneprov.so
noload = res_hep.so
noload = res_resolver_unbound.so
noload = app_jack.so
noload = app_voicemail_odbc.so
noload = app_voicemail_imap.so
noload = cdr_radius.so
noload = cdr_pgsql.so
noload = cdr_tds.so
noload = cdr_odbc.so
noload = cel_radius.so
noload = cel_pgsql.so
noload = cel_tds.so
noload = cel_odbc.so
noload = res_pjsip_transport_websocket.so
X

cat > "$E/logger.conf" <<X
[general]
dateformat = %F %T.%3q
[logfiles]
messages => notice,warning,error,security
X

openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=asterisk.lab" \
    -addext "subjectAltName=DNS:asterisk.lab,IP:$BIND" \
    -keyout "$E/key.pem" -out "$E/cert.pem" >/dev/null 2>&1

cat > "$E/http.conf" <<X
[general]
enabled = yes
bindaddr = $BIND
bindport = $HTTP_PORT
tlsenable = yes
tlsbindaddr = $BIND:$((HTTP_PORT+1))
tlscertfile = $INST/etc/cert.pem
tlsprivatekey = $INST/etc/key.pem
sessionlimit = 200
session_inactivity = 30000
session_keep_alive = 15000
X

cat > "$E/manager.conf" <<X
[general]
enabled = yes
webenabled = yes
bindaddr = $BIND
port = 5038
tlsenable = yes
tlsbindaddr = $BIND:5039
tlscertfile = $INST/etc/cert.pem
tlsprivatekey = $INST/etc/key.pem
allowmultiplelogin = yes
displayconnects = no
timestampevents = yes
authtimeout = 10
authlimit = 50
httptimeout = 60
; full control; also used for Challenge/MD5 (no extra setting is needed)
[ifbus]
secret = ifbus-secret
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.0/255.0.0.0
read = all
write = all
writetimeout = 1000
; the same, kept apart so that a test can show both ways of logging in
[md5user]
secret = md5-secret
read = all
write = all
writetimeout = 1000
; what pbxapi logs in as
[admin]
secret = admin-secret
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.0/255.0.0.0
read = all
write = all
writetimeout = 5000
; smallest set of rights the control plane needs
[least]
secret = least-secret
read = system,call,agent,user,dtmf,reporting,security
write = system,call,originate,reporting,user
writetimeout = 1000
; may only look at calls
[viewer]
secret = viewer-secret
read = call
write = reporting
writetimeout = 1000
; sees only what passes the filters
[filtered]
secret = filtered-secret
read = all
write = all
eventfilter = !Event: RTCP.*
eventfilter = !Event: VarSet
writetimeout = 1000
; impatient: to watch a slow reader
[impatient]
secret = impatient-secret
read = all
write = all
writetimeout = 100
; refused by address
[far]
secret = far-secret
deny = 0.0.0.0/0.0.0.0
permit = 10.255.255.0/255.255.255.0
read = all
write = all
X

cat > "$E/ari.conf" <<X
[general]
enabled = $ARI
pretty = no
allowed_origins = http://$BIND
[ifbus]
type = user
read_only = no
password = ifbus-secret
[viewer]
type = user
read_only = yes
password = viewer-secret
X

cat > "$E/pjsip.conf" <<X
[global]
type = global
user_agent = lab-asterisk
endpoint_identifier_order = ip,username,anonymous
[udp]
type = transport
protocol = udp
bind = $BIND:5060
[tcp]
type = transport
protocol = tcp
bind = $BIND:5060
[base](!)
type = endpoint
context = $INSIDE
disallow = all
allow = ulaw,alaw
direct_media = no
rtp_symmetric = yes
bind_rtp_to_media_address = yes
media_address = $BIND
dtmf_mode = rfc4733
redirect_method = uri_pjsip
send_pai = yes
trust_id_inbound = yes
rtp_timeout = 0
X
n=1001
while [ $n -le 1008 ]; do        # phones with a fixed address
cat >> "$E/pjsip.conf" <<X
[$n](base)
aors = $n
callerid = Phone $n <$n>
[$n]
type = aor
contact = sip:$n@$UA_ADDR
X
n=$((n+1)); done
for n in 1009 1010; do           # phones that have to register (secret: phone-secret)
cat >> "$E/pjsip.conf" <<X
[$n](base)
aors = $n
auth = $n
callerid = Phone $n <$n>
[$n]
type = aor
max_contacts = 1
remove_existing = yes
qualify_frequency = 0
[$n]
type = auth
auth_type = userpass
username = $n
password = phone-secret
X
done
cat >> "$E/pjsip.conf" <<X
; 1001 again, but hold is passed on as a re-INVITE instead of local music
[mohpass](base)
aors = mohpass
moh_passthrough = yes
[mohpass]
type = aor
contact = sip:mohpass@$UA_ADDR
; trunk: PJSIP/<number>@trunk, or PJSIP/trunk/sip:<user>@<host>:<port>
[trunk](base)
aors = trunk
context = from-trunk
[trunk]
type = aor
contact = sip:$TRUNK_ADDR
qualify_frequency = 15
qualify_timeout = 2.0
[trunk]
type = identify
endpoint = trunk
match = ${TRUNK_ADDR%:*}
; trunk whose peer is not there
[deadtrunk](base)
aors = deadtrunk
[deadtrunk]
type = aor
contact = sip:$(nextip "$BIND" 99):5060
qualify_frequency = 15
qualify_timeout = 1.0
X

cat > "$E/rtp.conf" <<X
[general]
rtpstart = 10000
rtpend = 19999
icesupport = no
X

cat > "$E/confbridge.conf" <<X
[general]
[ifbus_user]
type = user
music_on_hold_when_empty = no
announce_join_leave = no
announce_only_user = no
quiet = yes
dsp_drop_silence = yes
[admin_user]
type = user
admin = yes
quiet = yes
announce_only_user = no
[ifbus_bridge]
type = bridge
max_members = 200
record_conference = no
record_file_timestamp = no
record_file_append = no
mixing_interval = 20
internal_sample_rate = 8000
X

cat > "$E/musiconhold.conf" <<X
[default]
mode = files
directory = $INST/lib/moh
X
# one second of 400 Hz, 8 kHz 16 bit mono, looped as music on hold
awk 'BEGIN{for(i=0;i<8000;i++)printf "%d\n",6000*sin(6.2831853*400*i/8000)}' |
perl -e 'my @s=<STDIN>; my $d=pack("s<*",@s); print "RIFF".pack("V",36+length $d)."WAVEfmt ".pack("VvvVVvv",16,1,1,8000,16000,2,16)."data".pack("V",length $d).$d' \
    > "$I/lib/moh/tone.wav"

cat > "$E/features.conf" <<X
[general]
atxfernoanswertimeout = 15
[featuremap]
blindxfer = #1
atxfer = *2
disconnect = *0
X

cat > "$E/res_parking.conf" <<X
[general]
[default]
parkext => 700
parkpos => 701-720
context => parkedcalls
parkingtime => 600
X

cat > "$E/cdr.conf" <<X
[general]
enable = no
X
cat > "$E/cel.conf" <<X
[general]
enable = no
X
for f in acl udptl stasis indications; do : > "$E/$f.conf"; done
cat > "$E/indications.conf" <<X
[general]
country = us
[us]
description = United States
ringcadence = 2000,4000
dial = 350+440
busy = 480+620/500,0/500
ring = 440+480/2000,0/4000
congestion = 480+620/250,0/250
X

cat > "$E/extensions.conf" <<X
[general]
static = yes
writeprotect = yes
clearglobalvars = no
[globals]

; calls dialled by the phones
[$INSIDE]
exten => _10XX,1,Gosub(ifbus-inbound,s,1)
 same => n,Dial(PJSIP/\${EXTEN},30,tT)
 same => n,Hangup()
exten => 600,1,Answer()
 same => n,Echo()
exten => 601,1,Answer()
 same => n,Playback(demo-congrats)
 same => n,Hangup()
exten => 602,1,Answer()
 same => n,MusicOnHold(default)
exten => 603,1,Answer()
 same => n,ConfBridge(lab,ifbus_bridge,ifbus_user)
exten => 604,1,Answer()
 same => n,Wait(3600)
exten => 605,1,Busy(5)
exten => 606,1,Congestion(5)
exten => 607,1,Ringing()
 same => n,Wait(60)
exten => 608,1,Hangup(21)
exten => 609,1,Answer()
 same => n,Read(D,,4,,1,30)
 same => n,UserEvent(Digits,Digits: \${D})
 same => n,Hangup()
include => parkedcalls
exten => _9.,1,Dial(PJSIP/\${EXTEN:1}@trunk,30)
 same => n,Hangup()

; calls that come in through the trunk
[from-trunk]
exten => _6XX,1,Gosub(ifbus-inbound,s,1)
 same => n,Goto($INSIDE,\${EXTEN},1)
include => $INSIDE

X
cat "$SETUP/extensions.conf" >> "$E/extensions.conf"
[ "$STYLE" = issabel ] && cat "$SETUP/../elastix/contexts.conf" >> "$E/extensions.conf"
cat >> "$E/extensions.conf" <<X

; load: Local/echo@load
[load]
exten => echo,1,Answer()
 same => n,Echo()
exten => wait,1,Answer()
 same => n,Wait(3600)
X
fi

# ---- 3. start --------------------------------------------------------------
ulimit -n 20000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
cd /
setsid chroot "$ROOT" /usr/sbin/asterisk -f -C "$INST/etc/asterisk.conf" \
    >"$I/log/console" 2>&1 </dev/null &
echo $! > "$I/pid"
i=0
until chroot "$ROOT" /usr/sbin/asterisk -C "$INST/etc/asterisk.conf" \
        -rx 'core waitfullybooted' 2>/dev/null | grep -q 'fully booted'; do
    i=$((i+1))
    if [ $i -gt 150 ] || ! kill -0 "$(cat "$I/pid")" 2>/dev/null; then
        echo "did not start; see $I/log" >&2; tail -20 "$I/log/console" >&2; exit 1
    fi
    sleep 0.2
done
grep -h "Unable to bind" "$I/log/messages" >&2 || true   # it runs on without that port
echo "pid=$(cat "$I/pid") ami=$BIND:5038 amis=$BIND:5039 http=$BIND:$HTTP_PORT https=$BIND:$((HTTP_PORT+1)) sip=$BIND:5060"
echo "ami/ari user=ifbus secret=ifbus-secret  phones=$UA_ADDR trunk=$TRUNK_ADDR"
echo "cli: chroot $ROOT asterisk -C $INST/etc/asterisk.conf -rx 'core show channels'"
