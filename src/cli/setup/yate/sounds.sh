# What held and muted parties hear: 16 bits, 8000 Hz, one channel, without a header. Run this on the server, as root;
# replace music.wav by a piece you may use. A missing file ends the call that is put on it.
mkdir -p /var/lib/yate/ifbus /var/spool/yate/ifbus
head -c 160000 /dev/zero > /var/lib/yate/ifbus/silence.slin
sox music.wav -t raw -r 8000 -e signed-integer -b 16 -c 1 -L /var/lib/yate/ifbus/music.slin
# recordings are written here by the user Yate runs as; ifbus fetches them over HTTP from any web server that gives out
# this folder, to {permit} alone: ifbus add ... --set fetch=http://HOST:PORT/PATH
chown yate /var/spool/yate/ifbus
