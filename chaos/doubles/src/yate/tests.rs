//! What the double does beside what the recorded server did (`data/`), and its faults.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Door, Options, Yate};
use crate::double::{Double, Extensions, Input, Link, Mortal, Output, Reachable};
use crate::phone::{Act, Plan, Tone};

const RECORDED: &str = include_str!("data/02-originate-join.txt");
const CLIENT: Link = Link(1);
const SILENCE: &str = "wave/play//var/lib/yate/ifbus/silence.slin";

struct Lab {
    yate: Yate,
    now: Duration,
    said: Vec<String>,
    buffer: Vec<u8>,
    closed: BTreeSet<Link>,
    asked: u32,
}

impl Lab {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let yate = Yate::new(options, Duration::ZERO);
        let mut lab = Self {
            yate,
            now: Duration::ZERO,
            said: vec![],
            buffer: vec![],
            closed: BTreeSet::new(),
            asked: 0,
        };
        lab.open();
        lab
    }

    fn open(&mut self) {
        self.yate.handle(Input::Opened(CLIENT, Door::Engine), self.now);
        self.say("%%>connect:global");
        for name in [
            "chan.startup",
            "call.ringing",
            "call.answered",
            "chan.connected",
            "chan.disconnected",
            "chan.hangup",
            "chan.dtmf",
        ] {
            self.say(&format!("%%>watch:{name}"));
        }
        self.said.clear();
    }

    fn say(&mut self, line: &str) {
        self.yate.handle(Input::Bytes(CLIENT, format!("{line}\n").into_bytes()), self.now);
        self.pass(Duration::from_millis(10));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.collect();
        while let Some(due) = self.yate.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.yate.handle(Input::Tick, self.now);
            self.collect();
        }
        self.now = until;
        self.yate.handle(Input::Tick, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.yate.poll() {
            match output {
                Output::Bytes(link, bytes) if link == CLIENT => self.buffer.extend(bytes),
                Output::Close(link) | Output::Reset(link) => drop(self.closed.insert(link)),
                Output::Bytes(..) | Output::Datagram(..) => {}
            }
        }
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            self.said.push(String::from_utf8(line).expect("text").trim_end().to_owned());
        }
    }

    /// Sends a message; gives its answer.
    fn message(&mut self, name: &str, params: &str) -> String {
        self.asked += 1;
        let id = format!("q{}", self.asked);
        self.say(&format!("%%>message:{id}:0:{name}::{params}"));
        let start = format!("%%<message:{id}:");
        self.said.iter().find(|line| line.starts_with(&start)).cloned().unwrap_or_default()
    }

    fn masquerade(&mut self, leg: &str, message: &str, params: &str) -> String {
        self.message("chan.masquerade", &format!("id={leg}:message={message}:{params}"))
    }

    /// A leg that was answered; gives its name.
    fn up(&mut self, number: &str) -> String {
        let tagged = "copyparams=chanparams-prefix,ifb.tag:chanparams-prefix=ifb.:ifb.tag=t";
        let answer =
            self.message("call.execute", &format!("callto=dumb/x:target={number}:caller=1002:{tagged}"));
        self.pass(Duration::from_millis(200));
        value(&answer, "targetid")
    }

    fn talk(&mut self) -> (String, String) {
        let (a, b) = (self.up("1001"), self.up("1002"));
        let answer = self.message("chan.connect", &format!("id={a}:targetid={b}:reason=join"));
        assert!(answer.contains(":true:"), "{answer}");
        (a, b)
    }

    fn events(&self, name: &str) -> Vec<&String> {
        let start = format!("%%<message::false:{name}:");
        self.said.iter().filter(|line| line.starts_with(&start)).collect()
    }
}

fn value(line: &str, key: &str) -> String {
    let found = line.split(':').find_map(|field| field.strip_prefix(&format!("{key}=")));
    found.unwrap_or_default().to_owned()
}

fn keys(line: &str) -> BTreeSet<String> {
    line.split(':').skip(5).filter_map(|field| field.split_once('=')).map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn every_key_of_its_events_is_one_that_the_server_writes() {
    let mut lab = Lab::new();
    let (a, _) = lab.talk();
    lab.message("call.drop", &format!("id={a}:reason=bye"));
    for name in [
        "chan.startup",
        "call.ringing",
        "call.answered",
        "chan.connected",
        "chan.disconnected",
        "chan.hangup",
    ] {
        let recorded: BTreeSet<String> = RECORDED
            .lines()
            .filter(|line| line.contains(&format!(":{name}:")))
            .flat_map(|line| keys(line.split_once("E ").map_or(line, |(_, said)| said)))
            .collect();
        assert!(!recorded.is_empty(), "{name} was recorded");
        assert!(!lab.events(name).is_empty(), "{name} is told");
        for event in lab.events(name) {
            let more: Vec<String> =
                keys(event).difference(&recorded).filter(|key| *key != "tag").cloned().collect();
            assert!(more.is_empty(), "{name} has {more:?}: {event}");
        }
    }
}

#[test]
fn the_first_line_gets_no_answer_and_another_one_the_door() {
    for (line, stays) in
        [("%%>connect:global", true), ("%%>connect:play", false), ("hello", false), ("%%>watch:x", false)]
    {
        let mut lab = Lab::new();
        let link = Link(2);
        lab.yate.handle(Input::Opened(link, Door::Engine), lab.now);
        lab.yate.handle(Input::Bytes(link, format!("{line}\n").into_bytes()), lab.now);
        lab.pass(Duration::from_millis(10));
        assert_eq!(lab.closed.contains(&link), !stays, "{line}");
        assert!(lab.said.is_empty(), "{:?}", lab.said);
    }
}

#[test]
fn bad_lines_are_named_and_long_ones_are_the_end() {
    let mut lab = Lab::new();
    for bad in
        ["rubbish", "%%>message:a", "%%>message:a:x:n:", "%%>message:a:0:n::=v", "%%>message:a:0:n::k%}=v"]
    {
        lab.said.clear();
        lab.say(bad);
        assert_eq!(lab.said, [format!("Error in: {bad}")]);
    }
    lab.say(&"x".repeat(8192));
    assert!(lab.closed.contains(&CLIENT));
}

#[test]
fn a_dial_needs_a_target_and_keeps_what_is_named() {
    let mut lab = Lab::new();
    assert!(lab.message("call.execute", "callto=dumb/x:direct=sip/sip%z1001@h").contains(":false:"));
    assert!(lab.message("call.execute", "callto=dumb/x:target=1099").contains(":false:"));
    let refused = lab.message("call.execute", "callto=dumb/x:target=1:direct=sip/sip%z1@no.invalid");
    assert!(refused.contains("error=notransport"), "{refused}");
    let leg = lab.up("1001");
    assert!(lab.events("call.answered").iter().all(|event| value(event, "tag") == "t"), "{:?}", lab.said);
    let tone = lab.message("call.execute", "callto=tone/ring:target=1002");
    assert_eq!(value(&tone, "targetid"), "", "on other places the id is told once: {tone}");
    assert_eq!((lab.yate.rings("1001"), lab.yate.caller_seen("1001").as_deref()), (1, Some("1002")));
    assert_eq!(leg, "sip/1");
}

#[test]
fn who_is_connected_hears_the_other() {
    let mut lab = Lab::new();
    let (a, b) = lab.talk();
    let of = |number: &str| BTreeSet::from([Tone::of(number)]);
    assert_eq!((lab.yate.heard("1001"), lab.yate.heard("1002")), (of("1002"), of("1001")));
    lab.masquerade(&b, "chan.attach", &format!("override={SILENCE}:single=true"));
    assert_eq!((lab.yate.heard("1001"), lab.yate.heard("1002")), (of("1002"), BTreeSet::new()));
    let c = lab.up("1003");
    lab.message("chan.connect", &format!("id={b}:targetid={c}"));
    assert_eq!(lab.yate.heard("1002"), BTreeSet::new(), "what is over an ear stays there");
    assert_eq!(lab.yate.live("1001"), 0, "the one who was left is gone");
    let _ = a;
}

#[test]
fn pitfalls_are_those_of_the_server() {
    let mut lab = Lab::new();
    let (a, b) = lab.talk();
    let again = lab.said.len();
    assert!(lab.message("chan.connect", &format!("id={b}:targetid={a}")).contains(":true:"));
    assert!(
        !lab.said[again..].iter().any(|line| line.contains(":chan.connected:")),
        "a second join tells nothing"
    );
    assert!(
        lab.masquerade(&a, "chan.attach", &format!("override={SILENCE}")).contains(":false:"),
        "and it acts"
    );
    assert!(lab.masquerade("sip/99", "chan.attach", "override=-").contains(":false:chan.masquerade:"));
    let record =
        lab.masquerade(&a, "chan.record", "call=wave/record//nowhere/a.au:peer=wave/record//nowhere/b.au");
    assert!(record.contains(":true:chan.record:"), "{record}");
    assert!(lab.yate.world.files.is_empty());
    for digits in ["12#", "4", "5"] {
        lab.message("chan.dtmf", &format!("targetid={a}:text={digits}"));
    }
    assert_eq!(lab.yate.digits("1001"), "#", "the last of several, and none behind it too soon");
    lab.masquerade(&a, "call.execute", "callto=wave/play//no/file.slin");
    lab.pass(Duration::from_millis(100));
    assert_eq!(lab.yate.live("1001"), 0, "a missing file ends the leg");
    lab.up("1003");
    assert!(lab.message("call.drop", "reason=x").contains(":false:"), "without an id it says no,");
    assert_eq!(lab.yate.stats().channels, 0, "and ends everything");
}

#[test]
fn a_leg_that_is_asked_about_waits_for_the_answer() {
    for keep in [true, false] {
        let mut lab = Lab::new();
        lab.say("%%>install:50:chan.disconnected:tag:t");
        let (a, _) = lab.talk();
        lab.yate.act("1002", &Act::HangUp, lab.now);
        lab.pass(Duration::from_millis(10));
        let asked =
            lab.said.iter().find(|line| line.starts_with("%%>message:")).expect("it is asked").clone();
        let id = asked.split(':').nth(1).expect("an id").to_owned();
        assert_eq!(lab.yate.live("1001"), 1);
        if keep {
            lab.masquerade(&a, "call.execute", &format!("callto={SILENCE}"));
        }
        lab.say(&format!("%%<message:{id}:{keep}::"));
        assert_eq!(lab.yate.live("1001"), usize::from(keep));
    }
}

#[test]
fn rooms_take_ten_and_end_when_one_is_left() {
    let mut lab = Lab::new();
    let legs: Vec<String> = (1001..=1004).map(|number| lab.up(&number.to_string())).collect();
    for leg in &legs[..2] {
        lab.masquerade(leg, "call.execute", "callto=conf/r:maxusers=3");
    }
    assert!(lab.masquerade(&legs[2], "call.execute", "callto=conf/r").contains("users=3"));
    assert!(lab.masquerade(&legs[3], "call.execute", "callto=conf/r").contains(":false:"), "it is full");
    lab.yate.act("1001", &Act::HangUp, lab.now);
    lab.yate.act("1002", &Act::HangUp, lab.now);
    lab.pass(Duration::from_millis(10));
    assert_eq!(lab.yate.live("1003"), 0, "not lonely: the last one is thrown out");
}

#[test]
fn recordings_hold_what_was_said_and_heard() {
    let mut lab = Lab::new();
    let (a, _) = lab.talk();
    let path = |name: &str| format!("wave/record//var/spool/yate/ifbus/{name}");
    lab.masquerade(&a, "chan.record", &format!("call={}:peer={}", path("x.au"), path("y.au")));
    assert_eq!(lab.yate.world.files["x.au"][8..12], [255; 4], "its length is not set yet");
    lab.pass(Duration::from_millis(500));
    lab.masquerade(&a, "chan.record", "call=-:peer=-");
    for (file, number) in [("x.au", "1001"), ("y.au", "1002")] {
        let bytes = &lab.yate.world.files[file];
        let length = u32::from_be_bytes(bytes[8..12].try_into().expect("four"));
        assert_eq!(length as usize + 32, bytes.len());
        assert_eq!(crate::phone::tone::recognise(&bytes[32..]), BTreeSet::from([Tone::of(number)]));
    }
}

#[test]
fn phones_refuse_move_and_are_moved() {
    let mut lab = Lab::new();
    lab.yate.plan("1003", Plan::busy());
    lab.message("call.execute", "callto=dumb/x:target=1003");
    lab.pass(Duration::from_millis(100));
    let ended =
        lab.events("chan.hangup").into_iter().find(|line| value(line, "id") == "sip/1").expect("it ended");
    assert_eq!((&*value(ended, "cause_sip"), &*value(ended, "peerid")), ("486", "dumb/1"), "{ended}");
    lab.yate.plan("1003", Plan::default());
    lab.talk();
    lab.yate.transfer("1002", "1003", lab.now);
    lab.pass(Duration::from_millis(200));
    assert_eq!((lab.yate.live("1002"), lab.yate.transferred("1002")), (0, Some(200)));
    assert_eq!(lab.yate.heard("1001"), BTreeSet::from([Tone::of("1003")]));
}

#[test]
fn calls_from_outside_are_refused_by_whoever_is_asked() {
    let mut lab = Lab::new();
    assert!(lab.yate.hostile_call("x", lab.now));
    lab.say("%%>install:5:call.preroute");
    lab.yate.hostile_call("x", lab.now);
    lab.pass(Duration::from_millis(10));
    let asked = lab.said.iter().find(|line| line.starts_with("%%>message:")).expect("it is asked").clone();
    let id = asked.split(':').nth(1).expect("an id").to_owned();
    lab.say(&format!("%%<message:{id}:true::-:error=service-unavailable"));
    assert_eq!((lab.yate.stats().refused, lab.yate.stats().admitted), (1, 1));
}

#[test]
fn a_new_life_counts_anew_under_another_name() {
    let mut lab = Lab::new();
    lab.up("1001");
    lab.say("%%>setlocal:engine.runid:");
    let before = lab.said.last().cloned();
    lab.yate.restart(lab.now);
    lab.pass(Duration::from_millis(10));
    assert!(lab.closed.contains(&CLIENT));
    assert_eq!(lab.yate.stats().channels, 0);
    lab.open();
    assert_eq!(lab.up("1001"), "sip/1");
    lab.say("%%>setlocal:engine.runid:");
    assert_ne!(lab.said.last().cloned(), before);
}

#[test]
fn faults_do_what_they_say() {
    let mut lab = Lab::new();
    let set = |lab: &mut Lab, change: fn(&mut crate::faults::Faults)| {
        let mut faults = lab.yate.faults().clone();
        change(&mut faults);
        lab.yate.set_faults(faults, lab.now);
    };
    set(&mut lab, |faults| faults.lose_replies = 1.0);
    assert_eq!(lab.message("engine.status", "module=engine"), "");
    set(&mut lab, |faults| (faults.lose_replies, faults.freeze) = (0.0, true));
    assert_eq!(lab.message("engine.status", "module=engine"), "");
    set(&mut lab, |faults| faults.freeze = false);
    lab.pass(Duration::from_millis(50));
    assert!(lab.said.iter().any(|line| line.starts_with("%%<message:q2:")), "what waited comes");
    set(&mut lab, |faults| faults.wrong_ids = 1.0);
    assert_eq!(lab.message("engine.status", "module=engine"), "");
    set(&mut lab, |faults| (faults.wrong_ids, faults.cut_next) = (0.0, true));
    lab.message("engine.status", "module=engine");
    assert!(lab.closed.contains(&CLIENT));
    lab.yate.kill(lab.now);
    assert!(!lab.yate.is_open(Door::Engine) && !lab.yate.is_open(Door::Sip) && lab.yate.is_down());
    assert_eq!(lab.yate.deadline(), None);
}

#[test]
fn a_shutdown_ends_calls_then_links() {
    let mut lab = Lab::new();
    lab.talk();
    lab.yate.shut_down(lab.now);
    lab.pass(Duration::from_secs(1));
    assert_eq!(
        (lab.events("chan.hangup").iter().filter(|line| line.contains(":id=sip/")).count(), lab.closed.len()),
        (2, 0)
    );
    lab.pass(Duration::from_secs(1));
    assert!(lab.closed.contains(&CLIENT) && lab.yate.is_down());
}

#[test]
fn the_same_seed_gives_the_same_words() {
    let run = |seed: u64| {
        let mut lab = Lab::with(Options::default().with_seed(seed));
        let (a, _) = lab.talk();
        lab.message("call.drop", &format!("id={a}"));
        lab.said
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2), "events come in another order");
}

#[test]
fn one_message_is_read_as_the_engine_reads_it() {
    use super::line::{Said, escape, get, read, unescape};
    assert_eq!(escape("sip:1%\r\n"), "sip%z1%%%M%J");
    assert_eq!(unescape("sip%z1%%%M%J").as_deref(), Some("sip:1%\r\n"));
    assert_eq!(unescape("%}"), None, "it is written and not taken back");
    let Some(Said::Message { params, .. }) = read("%%>message:a:0:n:v:k=1:k=2:gone=1:gone:e=a=b") else {
        panic!("a message")
    };
    assert_eq!((get(&params, "k"), get(&params, "gone"), get(&params, "e")), ("2", "", "a=b"));
    assert_eq!(read("%%<message:1:true"), Some(Said::Unmatched));
}
