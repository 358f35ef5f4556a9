//! A graceful end: whoever listens or waits is told, calls live on, the next life is another one.

use std::time::Duration;

use ifbus_doubles::phone::Plan;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process;
use crate::rig::Rig;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("a_graceful_stop_tells_everybody_and_cuts_nothing", On::Each, graceful),
    ("a_stop_while_a_phone_rings_lets_it_ring", On::Each, while_ringing),
];

/// Far longer than anything here takes: an answer before it is one that did not wait for it.
const LONG: &str = "Prefer: wait=110\r\n";

fn graceful(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let id = rig.talk("1001", "1002");
    let (api, pid) = (rig.api(), rig.pid());
    let mut events = api.events("", None);
    let before = events.next("id:");
    rig.plan("1004", Plan::rings());

    let placed = std::thread::scope(|scope| {
        let placing = scope
            .spawn(|| api.ask("POST", "/v1/calls", LONG, Some(&json!({ "from": "1003", "to": "1004" }))));
        rig.until("the second phone rings", |rig| rig.phones().rings("1004") == 1);
        rig.until("the request is being held", |rig| rig.calls("ringing").len() == 1);
        process::signal(pid, Signal::TERM);
        placing.join().expect("an answer came")
    });
    // Held until something happens: the stop is what happened.
    assert_eq!(placed.status, 202, "{}", placed.raw);
    let ringing = placed.json();
    assert_eq!((ringing["status"].as_str(), ringing["to"].as_str()), (Some("ringing"), Some("1004")));
    assert!(placed.raw.to_ascii_lowercase().contains("connection: close"), "{}", placed.raw);

    let mut last = String::new();
    while let Some(line) = events.line() {
        if line.contains(':') {
            last = line;
        }
    }
    assert_eq!(last, ": the orchestrator is stopping", "the stream ends with a word");
    rig.until("it is gone", |_| !process::lives(pid));
    assert!(!rig.folder.join("run/orchestrator.json").exists(), "nothing says that it runs");
    rig.hear_each_other("1001", "1002");

    rig.start_again();
    rig.until("it is adopted", |rig| rig.told(&id, "call.adopted"));
    assert_eq!(rig.call(&id)["status"], "in-progress");
    another_life(&rig, &before);
    for call in [id.as_str(), ringing["id"].as_str().expect("a call has an id")] {
        rig.ifbus(&format!("hangup sip call_id={call}")).ends(0);
    }
    for number in ["1001", "1002", "1003", "1004"] {
        rig.is_free(number);
    }
    rig.until("the server is empty", |rig| rig.legs_on_server().is_empty());
    Ok(())
}

/// Ids of events are of this life, and a reader that comes with one of the last is told what it cannot have.
fn another_life(rig: &Rig, before: &str) {
    let boot = rig.api().get("/v1/summary").json()["boot"].as_str().expect("a boot").to_owned();
    assert!(!before.starts_with(&format!("{boot}-")), "{before} is of the life before");
    let mut events = rig.api().events("", Some(before));
    assert_eq!(events.next("event:"), "stream.gap");
    let gap: Value = serde_json::from_str(&events.next("data:")).expect("a gap is JSON");
    assert_eq!((gap["type"].as_str(), gap["count"].as_u64()), (Some("stream.gap"), None), "{gap}");
    let first = events.next("id:");
    assert_eq!(first, format!("{boot}-1"), "then everything of this life, from its first");
}

fn while_ringing(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    rig.plan("1002", Plan::answers(Duration::from_secs(4)));
    let id = rig.place("1001", "1002");
    rig.until("the second phone rings", |rig| rig.stage(&id, "b").as_deref() == Some("ringing"));
    rig.ifbus("stop").ends(0);
    rig.start_again();
    rig.until("both talk", |rig| rig.call(&id)["status"] == "in-progress");
    rig.hear_each_other("1001", "1002");
    assert_eq!(["1001", "1002"].map(|number| rig.phones().rings(number)), [1, 1], "nobody rang twice");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.is_free("1001");
    rig.is_free("1002");
    Ok(())
}
