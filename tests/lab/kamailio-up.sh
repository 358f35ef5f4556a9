#!/bin/sh
# Starts a real Kamailio with the configuration that `ifbus setup kamailio` prints.
#
#   kamailio-up.sh FOLDER BIND
#
#   FOLDER  where configuration, log and pid file go (made if missing)
#   BIND    loopback address of SIP (5060), HTTP JSON-RPC (8080) and events (8448)
#
# Environment (all optional):
#   UA_ADDR     host:port of the phones 1001..1019   (default: BIND+1:5060)
#   TRUNK_ADDR  host:port behind +... and URIs       (default: BIND+2:5060)
#   KAM_AUTH=1  asks for digest: user lab, password labpass
#   KAM_LOGIN   how HTTP is asked: bearer (default), basic, header, none
#   KAM_EVENTS=0  nothing listens for events
#   KAM_SST=1   loads module sst: session timers of 90 s in each answer
#   KAM_ROOT    root folder of another Debian tree holding kamailio
#   KAM_SETUP   folder with the two printed files, if not those of this source tree
#   KAM_TRIES   how often it is asked whether it is up, every 0.2 s (default 50)
#
# Exit code 3: Kamailio refuses the configuration.
#
# Needs the packages kamailio and kamailio-extra-modules (evapi, jansson).
# Stop with: kamailio-down.sh FOLDER BIND
set -eu

[ $# -ge 2 ] || { sed -n '2,25p' "$0"; exit 2; }
DIR=$1; BIND=$2
case "$BIND" in 127.*) ;; *) echo "refusing an address outside loopback: $BIND" >&2; exit 2;; esac
# What `ifbus setup kamailio` prints is what the laboratory runs.
SETUP=${KAM_SETUP:-$(cd "$(dirname "$0")/../../src/cli/setup/kamailio" && pwd)}
ROOT=${KAM_ROOT:-}
nextip() { echo "$1" | awk -F. -v n="$2" '{printf "%d.%d.%d.%d\n",$1,$2,$3,$4+n}'; }
UA_ADDR=${UA_ADDR:-$(nextip "$BIND" 1):5060}
TRUNK_ADDR=${TRUNK_ADDR:-$(nextip "$BIND" 2):5060}
I=$DIR/kamailio-$BIND
mkdir -p "$I/run"
I=$(cd "$I" && pwd)
if [ -s "$I/run/pid" ] && kill -0 "$(cat "$I/run/pid")" 2>/dev/null; then
    echo "already running: pid $(cat "$I/run/pid")"; exit 0
fi

# ---- what setup prints, filled in as an operator would ----------------------
fill() {
    sed -e "s|{bindaddr}|$BIND|g" -e "s|{permit}|127.0.0.1/32|g" \
        -e 's|(choose one: a secret that ifbus shows)|labtoken|' "$SETUP/$1" > "$I/$1"
}
fill ifbus-modules.cfg
fill ifbus-routes.cfg
case ${KAM_LOGIN:-bearer} in
    bearer) ;;
    basic)  sed -i "s|\"Bearer IFBUS_TOKEN\"|\"Basic $(printf 'ifbus:labtoken' | base64)\"|" "$I/ifbus-routes.cfg" ;;
    header) sed -i 's|$hdr(Authorization) != "Bearer IFBUS_TOKEN"|$hdr(X-Api-Token) != "IFBUS_TOKEN"|' "$I/ifbus-routes.cfg" ;;
    none)   sed -i 's/ || $hdr(Authorization) != "Bearer IFBUS_TOKEN"//' "$I/ifbus-routes.cfg" ;;
esac
if [ "${KAM_EVENTS:-1}" = 0 ]; then sed -i "s|$BIND:8448|$BIND:18448|" "$I/ifbus-modules.cfg"; fi

# ---- the operator's own configuration ---------------------------------------
{
[ "${KAM_AUTH:-0}" = 1 ] && echo '#!define WITH_AUTH'
[ "${KAM_SST:-0}" = 1 ] && echo '#!define WITH_SST'
cat <<CFG
#!substdef "!LAB_ADDR!$BIND!g"
#!substdef "!LAB_PHONES!$UA_ADDR!g"
#!substdef "!LAB_TRUNK!$TRUNK_ADDR!g"
#!substdef "!LAB_UA_IP!${UA_ADDR%:*}!g"
#!substdef "!LAB_PEER_IP!${TRUNK_ADDR%:*}!g"
CFG
cat <<'CFG'
debug=2
children=2
log_stderror=yes
fork=yes
auto_aliases=no
tcp_children=4
listen=udp:LAB_ADDR:5060
listen=tcp:LAB_ADDR:5060
loadmodule "sl.so"
loadmodule "corex.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "sanity.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "counters.so"
include_file "ifbus-modules.cfg"
#!ifdef WITH_SST
loadmodule "sst.so"
modparam("sst", "min_se", 90)
modparam("sst", "timeout_avp", "$avp(sstto)")
modparam("sst", "sst_flag", 6)
modparam("dialog", "timeout_avp", "$avp(sstto)")
#!endif
modparam("htable", "htable", "auth=>size=6;")
modparam("tm", "fr_timer", 5000)
modparam("tm", "fr_inv_timer", 60000)
modparam("tm", "failure_reply_mode", 3)
modparam("rr", "enable_full_lr", 1)
modparam("usrloc", "db_mode", 0)
modparam("dialog", "default_timeout", 7200)

request_route {
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (!sanity_check("1511", "7")) { exit; }
	if (is_method("OPTIONS") && uri == myself && $rU == $null) { sl_send_reply("200", "Keepalive"); exit; }
	if (is_method("OPTIONS") && uri == myself && $rU == "ifbus") { sl_send_reply("200", "Keepalive"); exit; }
	if (is_method("CANCEL")) {
		if (t_check_trans()) { route(RELAY); }
		exit;
	}
	if (!is_method("ACK") && t_precheck_trans()) { t_check_trans(); exit; }
	t_check_trans();
	if (has_totag()) {
		if (loose_route()) { route(IFBUS_IN_CALL); route(RELAY); exit; }
		if (is_method("ACK")) { if (t_check_trans()) { route(RELAY); } exit; }
		sl_send_reply("404", "Not here");
		exit;
	}
	if (is_method("REGISTER")) {
		if (!save("location")) { sl_reply_error(); }
		exit;
	}
	if (is_method("INVITE|REFER|SUBSCRIBE|MESSAGE")) { record_route(); }
	if (is_method("INVITE")) {
#!ifdef WITH_AUTH
		# the phones are known by their address, ifbus is not
		if ($si != "LAB_UA_IP" && $si != "LAB_PEER_IP") {
			if (!pv_proxy_authenticate("LAB_ADDR", "$sht(auth=>$au)", "0")) { proxy_challenge("LAB_ADDR", "1"); exit; }
			consume_credentials();
		}
#!endif
#!ifdef WITH_SST
		setflag(6);
#!endif
		if ($rU =~ "^nosuch") { sl_send_reply("404", "Not Found"); exit; }
		route(IFBUS_CALL);
	}
	# somebody by his address; phones that do not register; a trunk for numbers
	if ($rd != "LAB_ADDR") { route(RELAY); exit; }
	if ($rU =~ "^10[01][0-9]$") { $du = "sip:LAB_PHONES"; route(RELAY); exit; }
	if ($rU =~ "^[+0-9]") { $du = "sip:LAB_TRUNK"; route(RELAY); exit; }
	if (!lookup("location")) { send_reply("404", "Not registered"); exit; }
	route(RELAY);
}
route[RELAY] { if (!t_relay()) { sl_reply_error(); } exit; }
event_route[htable:mod-init] { $sht(auth=>lab) = "labpass"; $sht(ifbus=>drain) = 0; }
include_file "ifbus-routes.cfg"
CFG
} > "$I/kamailio.cfg"

# ---- start ------------------------------------------------------------------
RUN=''
if [ -n "$ROOT" ]; then RUN="chroot $ROOT"; mkdir -p "$ROOT$I"; mountpoint -q "$ROOT$I" || mount --bind "$I" "$ROOT$I"; fi
$RUN /usr/sbin/kamailio -c -f "$I/kamailio.cfg" > "$I/check.log" 2>&1 || { cat "$I/check.log" >&2; exit 3; }
setsid $RUN /usr/sbin/kamailio -DD -E -m 64 -M 8 -P "$I/run/pid" -Y "$I/run" -f "$I/kamailio.cfg" \
    >> "$I/log" 2>&1 < /dev/null &
i=0
until [ -s "$I/run/pid" ] && curl -s -m 1 -o /dev/null "http://$BIND:8080/"; do
    i=$((i+1))
    [ $i -gt "${KAM_TRIES:-50}" ] && { echo "did not start; see $I/log" >&2; tail -20 "$I/log" >&2; exit 1; }
    sleep 0.2
done
echo "pid=$(cat "$I/run/pid") sip=$BIND:5060 rpc=http://$BIND:8080/rpc events=$BIND:8448 phones=$UA_ADDR trunk=$TRUNK_ADDR"
