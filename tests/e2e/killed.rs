//! `kill -9` of the orchestrator: no call is cut, every call is found again, what was begun is ended.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_doubles::phone::{Plan, Tone};
use serde_json::json;

use crate::api::Answer;
use crate::rig::Rig;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("kill_9_cuts_none_of_200_calls_and_all_are_adopted", On::Each, two_hundred_calls),
    ("kill_9_while_a_third_party_is_asked", On::Each, while_consulting),
    ("kill_9_while_the_target_of_a_blind_transfer_rings", On::Each, while_the_target_rings),
    ("the_target_of_a_blind_transfer_answers_a_dead_orchestrator", On::Each, answered_while_dead),
    ("kill_9_while_the_second_phone_rings", On::Each, while_the_second_rings),
    ("point_21_the_same_key_across_kill_9_is_one_call", On::Each, the_same_key),
];

/// A phone that answers when the orchestrator is back.
const LATE: Duration = Duration::from_secs(5);
/// One that answers before.
const SOON: Duration = Duration::from_secs(1);
const CALLS: usize = 200;
/// A small machine takes a hundred or so legs a second.
const AT_ONCE: usize = 20;

fn two_hundred_calls(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let mut ids = BTreeSet::new();
    while ids.len() < CALLS {
        ids.extend((0..AT_ONCE).map(|_| rig.place("1001", "1002")));
        rig.until("all talk", |rig| rig.calls("in-progress") == ids);
    }
    let phones =
        |rig: &Rig| ["1001", "1002"].map(|number| (rig.phones().live(number), rig.phones().rings(number)));
    let all_talk = [(CALLS, CALLS as u32); 2];
    assert_eq!(phones(&rig), all_talk, "each call is one ring and one talk at each phone");

    rig.kill_9();
    rig.hear_each_other("1001", "1002");
    assert_eq!(phones(&rig), all_talk, "none was cut by the death");
    rig.start_again();
    rig.until("the calls are on the server's account", |rig| {
        rig.api().get("/v1/servers/pbx1").json()["calls"] == CALLS
    });
    assert_eq!(rig.calls("in-progress"), ids, "under their old ids");
    assert_eq!(rig.calls("queued,ringing,completed,busy,failed,no-answer,canceled"), BTreeSet::new());
    assert_eq!(adopted(&rig), ids, "each was told once");
    assert_eq!(phones(&rig), all_talk, "none was cut, nobody rang again");

    for id in ids.iter().take(AT_ONCE) {
        let hung = rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
        assert!(hung.out.starts_with(id.as_str()), "{hung:#?}");
    }
    assert_eq!(rig.calls("completed").len(), AT_ONCE, "hangup comes back when it is done");
    let all = rig.ifbus("hangup sip --all --yes").ends(0);
    assert!(all.out.contains(&format!("told {} calls to end", CALLS - AT_ONCE)), "{all:#?}");
    rig.until("all are over", |rig| rig.calls("completed") == ids);
    rig.is_free("1001");
    rig.is_free("1002");
    rig.until("the server is empty", |rig| {
        rig.legs_on_server().is_empty() && rig.api().get("/v1/servers/pbx1").json()["calls"] == 0
    });
    Ok(())
}

/// The calls of which this life of the orchestrator told that they were adopted.
fn adopted(rig: &Rig) -> BTreeSet<String> {
    let boot = rig.api().get("/v1/summary").json()["boot"].as_str().expect("a boot").to_owned();
    let mut events = rig.api().events("?type=call.adopted", Some(&format!("{boot}-0")));
    let one = |_| {
        let event: serde_json::Value = serde_json::from_str(&events.next("data:")).expect("an event is JSON");
        event["call"].as_str().expect("it is about a call").to_owned()
    };
    (0..CALLS).map(one).collect()
}

fn while_consulting(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let id = rig.talk("1001", "1002");
    rig.ifbus(&format!("transfer sip call_id={id} to=1003 --attended")).ends(0);
    rig.hear_each_other("1001", "1003");

    rig.kill_9();
    rig.hear_each_other("1001", "1003");
    rig.start_again();
    rig.until("it is adopted", |rig| rig.told(&id, "call.adopted"));
    assert_eq!(rig.call(&id)["status"], "in-progress");
    rig.hear_each_other("1001", "1003");
    let music = BTreeSet::from([Tone::HoldMusic]);
    rig.until("the held party hears music", |rig| rig.phones().heard("1002") == music);

    rig.ifbus(&format!("transfer sip call_id={id} --complete")).ends(0);
    rig.hear_each_other("1002", "1003");
    rig.is_free("1001");
    assert_eq!(
        ["1001", "1002", "1003"].map(|number| rig.phones().rings(number)),
        [1, 1, 1],
        "nobody rang twice"
    );
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.is_free("1002");
    rig.is_free("1003");
    Ok(())
}

fn while_the_target_rings(target: &Target) -> Result<(), Skipped> {
    let (rig, id) = killed_in_a_blind_transfer(target, LATE)?;
    rig.start_again();
    ends_transferred(&rig, &id);
    Ok(())
}

fn answered_while_dead(target: &Target) -> Result<(), Skipped> {
    let (rig, id) = killed_in_a_blind_transfer(target, SOON)?;
    rig.until("the target answers", |rig| rig.phones().live("1003") == 1);
    rig.start_again();
    ends_transferred(&rig, &id);
    Ok(())
}

/// The orchestrator is dead while the target of a blind transfer rings, which answers `after` the beginning of it.
fn killed_in_a_blind_transfer(target: &Target, after: Duration) -> Result<(Rig, String), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let id = rig.talk("1001", "1002");
    rig.plan("1003", Plan::answers(after));
    let mut transfer = rig.begin(&format!("transfer sip call_id={id} to=1003"));
    rig.until("the target rings", |rig| rig.stage(&id, "c").as_deref() == Some("ringing"));
    rig.kill_9();
    // Who asked is told something; what is not the promise here.
    transfer.wait().expect("it is ours");
    rig.hear_each_other("1001", "1002");
    Ok((rig, id))
}

/// The goal that was written down is reached.
fn ends_transferred(rig: &Rig, id: &str) {
    rig.hear_each_other("1002", "1003");
    rig.is_free("1001");
    assert_eq!(rig.call(id)["status"], "in-progress");
    let rings = ["1001", "1002", "1003"].map(|number| rig.phones().rings(number));
    assert_eq!(rings, [1, 1, 1], "nobody rang twice");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.is_free("1002");
    rig.is_free("1003");
}

fn while_the_second_rings(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    rig.plan("1002", Plan::answers(LATE));
    let id = rig.place("1001", "1002");
    rig.until("the second phone rings", |rig| rig.stage(&id, "b").as_deref() == Some("ringing"));

    rig.kill_9();
    rig.start_again();
    rig.until("both talk", |rig| rig.call(&id)["status"] == "in-progress");
    rig.hear_each_other("1001", "1002");
    assert_eq!(["1001", "1002"].map(|number| rig.phones().rings(number)), [1, 1], "nobody rang twice");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    rig.is_free("1001");
    rig.is_free("1002");
    Ok(())
}

/// Asked by many at once, killed at some moment of it, asked again: one call, one ring at each phone.
fn the_same_key(target: &Target) -> Result<(), Skipped> {
    const ASKING: usize = 100;
    const ROUNDS: usize = 5;
    let rig = Rig::open(target)?;
    rig.add();
    let body = json!({ "from": "1001", "to": "1002" });
    for round in 0..ROUNDS {
        let head = format!("Idempotency-Key: round-{round}\r\n");
        let rings = || ["1001", "1002"].map(|number| rig.phones().rings(number));
        let before = rings();
        let api = rig.api();
        let asking: Vec<_> = (0..ASKING)
            .map(|_| {
                let (api, head, body) = (api.clone(), head.clone(), body.clone());
                std::thread::spawn(move || api.try_ask("POST", "/v1/calls", &head, Some(&body)))
            })
            .collect();
        // In every round a little later: before the key is written, after it, after the call is placed.
        std::thread::park_timeout(Duration::from_millis(8 * round as u64));
        rig.kill_9();
        let answers = asking.into_iter().filter_map(|asked| asked.join().expect("it does not panic"));
        let mut ids: BTreeSet<String> = answers.map(|answer| id_of(&answer)).collect();
        rig.start_again();
        let again = rig.until_some("the key has an answer", |rig| {
            let answer = rig.api().ask("POST", "/v1/calls", &head, Some(&body));
            (answer.json()["code"] != "idempotency_in_progress").then_some(answer)
        });
        ids.insert(id_of(&again));
        assert_eq!(ids.len(), 1, "the same id in all answers: {ids:?} {}", again.raw);
        if again.status == 202 {
            let id = id_of(&again);
            rig.until("it talks or is over", |rig| {
                let shown = rig.api().get(&format!("/v1/calls/{id}"));
                shown.status == 404
                    || shown.json()["status"] == "in-progress"
                    || shown.json()["ended_at"].is_string()
            });
        } else {
            assert_eq!(again.json()["code"], "outcome_unknown", "{}", again.raw);
        }
        rig.ifbus("hangup sip --all --yes").ends(0);
        rig.is_free("1001");
        rig.is_free("1002");
        let after = rings();
        assert!(
            after.iter().zip(before).all(|(after, before)| *after <= before + 1),
            "round {round}: nobody rang twice: {before:?} {after:?}"
        );
    }
    Ok(())
}

/// The id of the call that an answer is about.
fn id_of(answer: &Answer) -> String {
    let body = answer.json();
    let id = body["id"].as_str().or(body["call"].as_str());
    id.unwrap_or_else(|| panic!("no call: {}", answer.raw)).to_owned()
}
