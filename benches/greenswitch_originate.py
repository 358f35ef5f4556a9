"""What one originate costs a client in Python: PORT COUNT; prints JSON. Started by the bench `others`."""
import gevent.monkey

gevent.monkey.patch_all()
import json
import sys
import time

import gevent
from gevent.event import Event
from greenswitch import InboundESL


def run(port, count):
    connection = InboundESL(host="127.0.0.1", port=port, password="ifbus-secret")
    seen = {"events": 0, "gone": 0}
    ended = Event()

    def count_it(_):
        seen["events"] += 1

    def job(event):
        # The first word of a job's result is whether it was done.
        if event.headers.get("Job-UUID", "").startswith("green-"):
            connection.send("bgapi uuid_kill " + event.headers["Job-UUID"])

    def hangup(_):
        seen["gone"] += 1
        if seen["gone"] == count:
            ended.set()

    connection.connect()
    connection.register_handle("*", count_it)
    connection.register_handle("BACKGROUND_JOB", job)
    connection.register_handle("CHANNEL_HANGUP_COMPLETE", hangup)
    connection.send("event plain " + EVENTS)
    gevent.sleep(1)
    began, before = time.process_time(), seen["events"]
    for number in range(count):
        name = "green-%d-%d" % (port, number)
        connection.send(
            "bgapi originate {origination_uuid=%s,originate_timeout=20}sofia/lab/%d@127.0.0.1 &park()\nJob-UUID: %s"
            % (name, 2000 + number, name)
        )
        gevent.sleep(0.01)
    if not ended.wait(60):
        raise SystemExit("calls are left")
    spent = time.process_time() - began
    print(json.dumps({"us": spent * 1e6 / count, "events": (seen["events"] - before) / count}))
    connection.stop()


EVENTS = (
    "CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_PARK "
    "CHANNEL_HOLD CHANNEL_UNHOLD CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY DTMF BACKGROUND_JOB"
)
run(int(sys.argv[1]), int(sys.argv[2]))
