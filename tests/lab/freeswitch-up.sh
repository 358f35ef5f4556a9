#!/bin/sh
# Starts an installed FreeSWITCH on one address with a configuration of its own, for the tests.
#
#   sh freeswitch-up.sh BINARY FOLDER ADDRESS
#
# Phones 1001 to 1008 are expected at the next address, port 5060; 1009 is known and not registered. Callers from outside
# reach 604, where they wait, and the phones. Its event socket is set up as `ifbus setup freeswitch` prints it; FS_SETUP is
# another folder with that file. Exit code 3: it ended at once. Stop it with freeswitch-down.sh FOLDER.
set -eu
bin=${1:?binary} dir=${2:?folder} ip=${3:?address}
setup=${FS_SETUP:-$(cd "$(dirname "$0")/../../src/cli/setup/freeswitch" && pwd)}
phones=${ip%.*}.$((${ip##*.} + 1)):5060
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
for sub in conf log db run recordings storage tmp scripts certs cache grammar htdocs sounds; do mkdir -p "$dir/$sub"; done

modules="console logfile event_socket commands dptools db hash dialplan_xml loopback sofia conference sndfile native_file tone_stream"
load=$(for module in $modules; do printf '<load module="mod_%s"/>' "$module"; done)
users=$(for number in 1001 1002 1003 1004 1005 1006 1007 1008; do
    printf '<user id="%s"><params><param name="dial-string" value="sofia/lab/%s@%s"/></params></user>' \
        "$number" "$number" "$phones"
done)

# what setup prints, filled in as an operator would
socket=$(sed -e "s|{bindaddr}|$ip|; s|{permit}|127.0.0.1/32|; s|(choose one)|ifbus-secret|" "$setup/event_socket.conf.xml")

cat > "$dir/conf/freeswitch.xml" <<XML
<?xml version="1.0"?>
<document type="freeswitch/xml">
 <X-PRE-PROCESS cmd="set" data="domain=$ip"/>
 <X-PRE-PROCESS cmd="set" data="hold_music=tone_stream://%(1000,0,400);loops=-1"/>
 <section name="configuration">
  <configuration name="switch.conf"><settings>
   <param name="switchname" value="lab"/>
   <param name="max-sessions" value="5000"/><param name="sessions-per-second" value="300"/>
   <param name="loglevel" value="notice"/>
   <param name="rtp-start-port" value="20000"/><param name="rtp-end-port" value="29999"/>
   <param name="rtp-enable-zrtp" value="false"/>
  </settings></configuration>
  <configuration name="modules.conf"><modules>$load</modules></configuration>
$socket
  <configuration name="console.conf"><mappings/><settings/></configuration>
  <configuration name="logfile.conf"><settings/><profiles><profile name="default">
   <settings><param name="logfile" value="$dir/log/freeswitch.log"/></settings>
   <mappings><map name="all" value="notice,warning,err,crit,alert"/></mappings>
  </profile></profiles></configuration>
  <configuration name="sofia.conf">
   <global_settings><param name="log-level" value="0"/></global_settings>
   <profiles><profile name="lab"><settings>
    <param name="sip-ip" value="$ip"/><param name="rtp-ip" value="$ip"/><param name="sip-port" value="5060"/>
    <param name="context" value="default"/><param name="dialplan" value="XML"/>
    <param name="auth-calls" value="false"/>
    <param name="inbound-codec-prefs" value="PCMU"/><param name="outbound-codec-prefs" value="PCMU"/>
    <param name="rfc2833-pt" value="101"/><param name="rtp-timer-name" value="soft"/>
    <param name="manage-presence" value="false"/><param name="enable-timer" value="false"/>
    <param name="hold-music" value="\$\${hold_music}"/>
   </settings></profile></profiles>
  </configuration>
  <configuration name="conference.conf">
   <caller-controls><group name="none"/></caller-controls>
   <profiles><profile name="default">
    <param name="domain" value="$ip"/><param name="rate" value="8000"/><param name="interval" value="20"/>
    <param name="energy-level" value="100"/><param name="caller-controls" value="none"/>
    <param name="comfort-noise" value="false"/>
   </profile></profiles>
  </configuration>
  <configuration name="db.conf"><settings/></configuration>
  <configuration name="hash.conf"><remotes/></configuration>
  <configuration name="loopback.conf"><settings/></configuration>
 </section>
 <section name="dialplan"><context name="default">
  <extension name="wait"><condition field="destination_number" expression="^604\$">
   <action application="answer"/><action application="park"/>
  </condition></extension>
  <extension name="phone"><condition field="destination_number" expression="^(10\d\d)\$">
   <action application="set" data="hangup_after_bridge=true"/>
   <action application="bridge" data="user/\$1"/>
  </condition></extension>
 </context></section>
 <section name="directory"><domain name="$ip"><groups><group name="default"><users>
  $users
  <user id="1009"><params><param name="dial-string" value="error/user_not_registered"/></params></user>
 </users></group></groups></domain></section>
 <section name="chatplan"/><section name="languages"/>
</document>
XML

ulimit -s 240
"$bin" -nc -nonat -nf -conf "$dir/conf" -log "$dir/log" -db "$dir/db" -run "$dir/run" -recordings "$dir/recordings" \
    -storage "$dir/storage" -temp "$dir/tmp" -scripts "$dir/scripts" -certs "$dir/certs" -cache "$dir/cache" \
    -grammar "$dir/grammar" -htdocs "$dir/htdocs" -sounds "$dir/sounds" > "$dir/log/console.txt" 2>&1 < /dev/null &
echo $! > "$dir/run/lab.pid"
for _ in $(seq 1 "${FS_TRIES:-100}"); do
    if bash -c "exec 3<>/dev/tcp/$ip/8021" 2> "$dir/log/wait.txt"; then
        echo "FreeSWITCH on $ip, phones at $phones, pid $(cat "$dir/run/lab.pid")"
        exit 0
    fi
    kill -0 "$(cat "$dir/run/lab.pid")" || { tail -20 "$dir/log/console.txt" >&2; exit 3; }
    sleep 0.2
done
echo "FreeSWITCH does not answer on $ip" >&2
exit 1
