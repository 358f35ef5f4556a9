"""What one originate costs a client in Python: PORT COUNT; prints JSON. Started by the bench `others`."""
import asyncio
import json
import sys
import time

from panoramisk import Manager


async def run(port, count):
    manager = Manager(host="127.0.0.1", port=port, username="ifbus", secret="ifbus-secret", ping_delay=3600)
    events = 0
    ended = asyncio.Event()
    gone = 0

    def seen(_, message):
        nonlocal events, gone
        events += 1
        if message.event == "Hangup":
            gone += 1
            if gone == count:
                ended.set()

    def answered(action):
        nonlocal events
        events += 1
        manager.send_action({"Action": "Hangup", "Channel": action.result()[-1].channel})

    await manager.connect()
    manager.register_event("*", seen)
    await asyncio.sleep(1)
    began, before = time.process_time(), events
    for number in range(count):
        action = manager.send_action({
            "Action": "Originate", "Channel": "PJSIP/%d" % (2000 + number), "Context": "ifbus", "Exten": "wait",
            "Priority": "1", "Async": "true", "Timeout": "20000", "ChannelId": "pano-%d" % number,
        })
        action.add_done_callback(answered)
        await asyncio.sleep(0.01)
    await asyncio.wait_for(ended.wait(), 60)
    spent = time.process_time() - began
    print(json.dumps({"us": spent * 1e6 / count, "events": (events - before) / count}))


asyncio.run(run(int(sys.argv[1]), int(sys.argv[2])))
