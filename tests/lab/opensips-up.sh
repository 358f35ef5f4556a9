#!/bin/sh
# Starts a real OpenSIPS with the configuration that `ifbus setup opensips` prints.
#
#   opensips-up.sh FOLDER BIND
#
#   FOLDER  where configuration, log and pid file go (made if missing)
#   BIND    loopback address of SIP (5060), its management by HTTP (8888) and by datagrams (8889)
#
# Environment (all optional):
#   OSIPS_ROOT  folder it was installed to: sbin/opensips and lib*/opensips/modules in it (default: /usr)
#   UA_ADDR     host:port of the phones 1001..1019   (default: BIND+1:5060)
#   TRUNK_ADDR  host:port behind +... and URIs       (default: BIND+2:5060)
#   OSIPS_OURS  the address ifbus calls from         (default: BIND+3)
#   OSIPS_AUTH=1   asks callers for digest: user lab, password labpass
#   OSIPS_SETUP  folder with the two printed files, if not those of this source tree
#   OSIPS_TRIES  how often it is asked whether it is up, every 0.2 s (default 50)
#   OSIPS_LOGIN=1  its HTTP asks for Basic: user ifbus, password labtoken (4.0 and later)
#
# Exit code 3: OpenSIPS refuses the configuration.
#
# Needs the packages opensips and opensips-http-modules, or an installation with httpd. One call of the laboratory has
# the trunk's peer as its caller, which is no address of ours.
# Stop with: opensips-down.sh FOLDER BIND
set -eu

[ $# -ge 2 ] || { sed -n '2,24p' "$0"; exit 2; }
DIR=$1; BIND=$2
case "$BIND" in 127.*) ;; *) echo "refusing an address outside loopback: $BIND" >&2; exit 2;; esac
# What `ifbus setup opensips` prints is what the laboratory runs.
SETUP=${OSIPS_SETUP:-$(cd "$(dirname "$0")/../../src/cli/setup/opensips" && pwd)}
ROOT=${OSIPS_ROOT:-/usr}
nextip() { echo "$1" | awk -F. -v n="$2" '{printf "%d.%d.%d.%d\n",$1,$2,$3,$4+n}'; }
UA_ADDR=${UA_ADDR:-$(nextip "$BIND" 1):5060}
TRUNK_ADDR=${TRUNK_ADDR:-$(nextip "$BIND" 2):5060}
OURS=${OSIPS_OURS:-$(nextip "$BIND" 3)}
BIN=$ROOT/sbin/opensips
MODS=''
for M in "$ROOT"/lib*/opensips/modules "$ROOT"/lib/*/opensips/modules; do [ -f "$M/tm.so" ] && MODS=$M; done
[ -n "$MODS" ] && [ -x "$BIN" ] || { echo "no OpenSIPS under $ROOT" >&2; exit 1; }
I=$DIR/opensips-$BIND
mkdir -p "$I"
I=$(cd "$I" && pwd)
if [ -s "$I/pid" ] && kill -0 "$(cat "$I/pid")" 2>/dev/null; then
    echo "already running: pid $(cat "$I/pid")"; exit 0
fi

# ---- what setup prints, filled in as an operator would ----------------------
for F in ifbus-modules.cfg ifbus-routes.cfg; do
    sed -e "s|{bindaddr}|$BIND|g" -e "s|{ours}|$OURS|g" -e 's|(choose one: a secret that ifbus shows)|labtoken|' \
        -e 's|^#\(loadmodule "mi_datagram.so"\)|\1|' -e 's|^#\(modparam("mi_datagram"\)|\1|' "$SETUP/$F" > "$I/$F"
done
if [ "${OSIPS_LOGIN:-0}" = 1 ]; then sed -i 's|^#\(modparam("httpd", "auth_\)|\1|' "$I/ifbus-modules.cfg"; fi

# ---- the operator's own configuration ---------------------------------------
AUTH=''; AUTHMOD=''
if [ "${OSIPS_AUTH:-0}" = 1 ]; then
    AUTHMOD='loadmodule "auth.so"
modparam("auth", "username_spec", "$avp(lab_user)")
modparam("auth", "password_spec", "$avp(lab_password)")
modparam("auth", "calculate_ha1", 1)'
    AUTH="\$avp(lab_user) = \"lab\"; \$avp(lab_password) = \"labpass\";
		if (!pv_proxy_authorize(\"$BIND\")) { proxy_challenge(\"$BIND\", \"auth\"); exit; }
		consume_credentials();"
fi
cat > "$I/opensips.cfg" <<CFG
log_level=2
stderror_enabled=yes
syslog_enabled=no
udp_workers=2
auto_aliases=no
server_header="Server: OpenSIPS"
socket=udp:$BIND:5060
socket=tcp:$BIND:5060
mpath="$MODS/"
loadmodule "proto_udp.so"
loadmodule "proto_tcp.so"
loadmodule "maxfwd.so"
loadmodule "options.so"
loadmodule "usrloc.so"
modparam("usrloc", "working_mode_preset", "single-instance-no-db")
loadmodule "registrar.so"
$AUTHMOD
include_file "$I/ifbus-modules.cfg"
modparam("tm", "fr_timeout", 5)
modparam("tm", "fr_inv_timeout", 60)
modparam("dialog", "default_timeout", 7200)

route {
	if (!mf_process_maxfwd_header(10)) { send_reply(483, "Too Many Hops"); exit; }
	if (has_totag()) {
		if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
		if (!loose_route()) {
			if (is_method("ACK")) exit;
			send_reply(404, "Not here"); exit;
		}
		route(relay);
	}
	if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
	t_check_trans();
	if (is_method("OPTIONS") && (\$rU == NULL || \$rU == "ifbus")) { options_reply(); exit; }
	if (is_method("REGISTER")) { if (!save("location")) sl_reply_error(); exit; }
	if (is_method("INVITE")) {
		$AUTH
		if (\$rU =~ "^nosuch") { send_reply(404, "Not Found"); exit; }
		route(ifbus_call);
	}
	# somebody by his address; phones that do not register; a trunk for numbers
	if (\$rd != "$BIND") route(relay);
	if (\$rU =~ "^10[01][0-9]\$") { \$du = "sip:$UA_ADDR"; route(relay); }
	if (\$rU =~ "^[+0-9]") { \$du = "sip:$TRUNK_ADDR"; route(relay); }
	if (!lookup("location")) { send_reply(404, "Not registered"); exit; }
	route(relay);
}
route[relay] { if (!t_relay()) sl_reply_error(); exit; }
include_file "$I/ifbus-routes.cfg"
CFG

# ---- start ------------------------------------------------------------------
"$BIN" -c -f "$I/opensips.cfg" > "$I/check.log" 2>&1 || { tail -20 "$I/check.log" >&2; exit 3; }
"$BIN" -f "$I/opensips.cfg" -P "$I/pid" -m 128 -M 16 -w "$I" >> "$I/log" 2>&1 < /dev/null
LOGIN=''; [ "${OSIPS_LOGIN:-0}" = 1 ] && LOGIN='-u ifbus:labtoken'
i=0
until [ -s "$I/pid" ] && curl -s -m 1 $LOGIN -H 'Content-Type: application/json' \
        -d '{"jsonrpc":"2.0","id":1,"method":"uptime"}' "http://$BIND:8888/mi" | grep -q result; do
    i=$((i+1))
    [ $i -gt "${OSIPS_TRIES:-50}" ] && { echo "did not start; see $I/log" >&2; tail -20 "$I/log" >&2; exit 1; }
    sleep 0.2
done
echo "pid=$(cat "$I/pid") sip=$BIND:5060 mi=http://$BIND:8888/mi,udp:$BIND:8889 phones=$UA_ADDR trunk=$TRUNK_ADDR ours=$OURS"
