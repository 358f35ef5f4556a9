// What one originate costs a client in JavaScript: PORT COUNT; prints JSON. Started by the bench `others`.
const { Connection } = require("modesl");

const [port, count] = process.argv.slice(2).map(Number);
const EVENTS = [
  "CHANNEL_CREATE", "CHANNEL_PROGRESS", "CHANNEL_PROGRESS_MEDIA", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE",
  "CHANNEL_PARK", "CHANNEL_HOLD", "CHANNEL_UNHOLD", "CHANNEL_HANGUP_COMPLETE", "CHANNEL_DESTROY", "DTMF", "BACKGROUND_JOB",
];
let events = 0;
let gone = 0;
let began;

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

const connection = new Connection("127.0.0.1", port, "ifbus-secret", () => {
  connection.on("esl::event::**", () => {
    events += 1;
  });
  connection.on("esl::event::CHANNEL_HANGUP_COMPLETE::*", () => {
    gone += 1;
    if (gone === count) {
      console.log(JSON.stringify({ us: (cpu() - began) / count, events: events / count }));
      process.exit(0);
    }
  });
  connection.events("json", EVENTS, () => setTimeout(place, 1000, 0));
});

const place = (number) => {
  if (number === 0) {
    began = cpu();
    events = 0;
  }
  if (number === count) return;
  const name = `node-${port}-${process.pid}-${number}`;
  const order = `{origination_uuid=${name},originate_timeout=20}sofia/lab/${2000 + number}@127.0.0.1 &park()`;
  connection.bgapi("originate", order, () => connection.bgapi("uuid_kill", name));
  setTimeout(place, 10, number + 1);
};

setTimeout(() => process.exit(1), 60000);
