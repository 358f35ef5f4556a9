//! Conferences, recordings and drain against a pretended orchestrator.

use ifbus_call::{Cause, Inbound};
use ifbus_fleet::Code;
use ifbus_fleet::view::{
    ConferenceView, DrainView, LegView, MemberView, RecordingStatus, RecordingView, ServerState, ServerView,
    Status,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::fake::{self, Fake, ID, Reply, event, list, problem};
use crate::program::{Ended, Home, is_plain};

const REC: &str = "rec_01KAQ4ZT8M3XHWE9P6S2W3C8HN";
const HEAD: &str = "retry: 2000\n\nid: b1-0\n\n";
const WAV: &str = "RIFF, as far as this test goes";

fn home(fake: &Fake) -> Home {
    Home::new().with("IFBUS_URL", &fake.url).with("IFBUS_TOKEN", "t0ken")
}

fn run(fake: &Fake, line: &str) -> Ended {
    let ended = home(fake).run(line);
    assert!(is_plain(&ended), "{ended:?}");
    ended
}

/// An orchestrator: what a test says, and a journal with these events.
fn telling(events: String, script: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::new(move |request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", path) if path.starts_with("/v1/events?type=none") => Reply::Stream(HEAD.to_owned()),
        ("GET", path) if path.starts_with("/v1/events?call=") => {
            assert_eq!(request.headers["last-event-id"], "b1-0", "from before it was asked");
            Reply::Stream(events.clone())
        }
        (method, path) => script(method, path),
    })
}

fn invited(inside: bool) -> Value {
    let mut call = fake::call(Status::InProgress);
    call.from = "1003".parse().unwrap();
    call.to = "standup".parse().unwrap();
    call.conference = Some("standup".parse().unwrap());
    call.legs = vec![LegView {
        role: ifbus_call::Role::A,
        party: "1003".parse().unwrap(),
        stage: "up".to_owned(),
        muted: Vec::new(),
        in_conference: inside,
    }];
    json!(call)
}

fn conference(members: usize) -> ConferenceView {
    let member = MemberView {
        id: format!("{ID}.a"),
        call: ID.parse().unwrap(),
        role: ifbus_call::Role::A,
        party: "1003".parse().unwrap(),
        stage: "up".to_owned(),
        inside: true,
        muted: false,
    };
    ConferenceView {
        id: "standup".parse().unwrap(),
        object: "conference".to_owned(),
        server: "pbx1".parse().unwrap(),
        created_at: "2026-11-22T10:52:00Z".parse().unwrap(),
        members: vec![member; members],
        foreign: 0,
    }
}

fn recording(status: RecordingStatus) -> RecordingView {
    let is_stored = status == RecordingStatus::Stored;
    let sha256: String = Sha256::digest(WAV).iter().map(|byte| format!("{byte:02x}")).collect();
    RecordingView {
        id: REC.parse().unwrap(),
        object: "recording".to_owned(),
        call: ID.parse().unwrap(),
        server: "pbx1".parse().unwrap(),
        status,
        segments: 1,
        created_at: "2026-11-22T10:52:00Z".parse().unwrap(),
        stopped_at: None,
        bytes: is_stored.then_some(WAV.len() as u64),
        seconds: is_stored.then_some(12.34),
        sha256: is_stored.then_some(sha256),
        why: (status == RecordingStatus::Failed).then(|| "the server has\x1b[31m no part of it".to_owned()),
    }
}

// === conferences ===

#[test]
fn a_conference_is_created_once_and_the_answer_says_which() {
    for (status, word) in [(201, "created"), (200, "it was there already:")] {
        let fake = Fake::new(move |_| Reply::Json(status, json!(conference(0))));
        let ended = run(&fake, "conference create sip standup server=pbx1");
        assert_eq!((ended.code, ended.out), (0, format!("{word} conference standup on pbx1, 0 members\n")));
        assert_eq!(fake.posted(), json!({"id": "standup", "server": "pbx1"}));
    }
}

#[test]
fn point_13_a_party_is_added_when_it_is_inside_and_told_step_by_step() {
    let events = event(1, "call.queued", "00", "pbx1 chosen: the conference is there")
        + &event(2, "call.ringing", "01.540", "1003 rings")
        + &event(3, "call.leg_answered", "02.870", "1003 answered")
        + &event(4, "conference.joined", "05.300", "in the conference standup");
    let fake = telling(events, |method, path| match (method, path) {
        ("POST", "/v1/conferences/standup/members") => Reply::Json(202, invited(false)),
        ("GET", path) if path == format!("/v1/calls/{ID}") => Reply::Json(200, invited(true)),
        _ => problem(Code::UnknownPath, path),
    });
    let ended = run(&fake, "conference add sip standup to=1003 record=yes timeout=20 caller_id=1000");
    let expected = format!(
        "{ID}\n 0.00  queued    pbx1 chosen: the conference is there\n 1.54  ringing   1003 rings\n \
         2.87  answered  1003 answered\n 5.30  inside    in the conference standup\n\
         inside: 1003 in standup on pbx1, after 5.3 s. hang up: ifbus hangup sip call_id={ID}\n"
    );
    assert_eq!((ended.code, ended.out, ended.err), (0, expected, String::new()));
    assert_eq!(fake.posted(), json!({"to": "1003", "record": true, "timeout_s": 20.0, "caller_id": "1000"}));
    let ended = run(&fake, "conference add sip standup to=1003 --json");
    assert_eq!((ended.code, serde_json::from_str::<Value>(&ended.out).unwrap()), (0, invited(true)));
    let ended = run(&fake, "conference add sip standup to=1003 --detach");
    assert_eq!((ended.code, ended.out), (0, format!("{ID}\n")));
}

#[test]
fn point_13_a_party_that_does_not_come_is_exit_1_with_its_cause() {
    let events = event(1, "call.queued", "00", "pbx1 chosen: x") + &event(2, "call.ended", "04", "busy");
    let fake = telling(events, |method, _| match method {
        "POST" => Reply::Json(202, invited(false)),
        _ => Reply::Json(200, json!(fake::ended(Status::Busy, Cause::Busy))),
    });
    let ended = run(&fake, "conference add sip standup to=1003");
    let last = format!("not inside: busy (486 Busy\\x1b[31m Here). more: ifbus show call {ID}");
    assert_eq!((ended.code, ended.out.lines().last()), (1, Some(last.as_str())), "{ended:?}");
}

#[test]
fn a_call_that_cannot_enter_goes_on_and_that_is_exit_1() {
    let events = event(2, "call.verb_failed", "04", "enter failed: no room");
    let fake = telling(events, |method, _| match method {
        "POST" => Reply::Json(202, json!(fake::call(Status::InProgress))),
        _ => Reply::Json(200, json!(fake::call(Status::InProgress))),
    });
    let ended = run(&fake, &format!("conference add sip standup call_id={ID}"));
    let last = format!("not inside: enter failed: no room. more: ifbus show call {ID}");
    assert_eq!((ended.code, ended.out.lines().last()), (1, Some(last.as_str())), "{ended:?}");
    assert_eq!(fake.posted(), json!({ "call": ID }));
}

#[test]
fn a_member_is_muted_heard_and_kicked_and_each_is_waited_for() {
    for (verb, kind, status, says) in [
        ("mute", "call.muted", "under_way", "muted"),
        ("unmute", "call.unmuted", "under_way", "not muted"),
        ("kick", "conference.left", "under_way", "left"),
        ("mute", "call.muted", "already_so", "muted; it was so already, nothing was sent"),
    ] {
        let fake = telling(event(2, kind, "04", "done"), move |method, path| match (method, path) {
            ("PATCH" | "DELETE", path) if path.starts_with("/v1/conferences/standup/members/K5DQ2M.a") => {
                Reply::Json(202, fake::order(status, &fake::call(Status::InProgress), None))
            }
            (_, "/v1/conferences/standup") => Reply::Json(200, json!(conference(1))),
            // No leg of it is left.
            _ => Reply::Json(200, json!(fake::call(Status::InProgress))),
        });
        let ended = run(&fake, &format!("conference {verb} sip standup member=K5DQ2M.a"));
        assert!(ended.code == 0 && ended.out.starts_with(&format!("K5DQ2M.a {says}")), "{verb}: {ended:?}");
    }
    let failed = event(2, "call.verb_failed", "04", "mute failed: \x1b[2Jno");
    let fake = telling(failed, |method, _| match method {
        "PATCH" => Reply::Json(202, fake::order("under_way", &fake::call(Status::InProgress), None)),
        _ => Reply::Json(200, json!(fake::call(Status::InProgress))),
    });
    let ended = run(&fake, "conference mute sip standup member=K5DQ2M.a");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(ended.err.starts_with("error: mute failed: \\x1b[2Jno"), "{ended:?}");
    let ended = run(&fake, "conference mute sip standup member=K5DQ2M.a --json");
    let order: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((ended.code, &order["status"]), (1, &json!("failed")));
}

#[test]
fn an_end_with_members_is_asked_about_and_one_without_is_not() {
    let with = |members| Fake::new(move |_| Reply::Json(200, json!(conference(members))));
    let text = "end the conference standup and hang up 1 call of ours in it";
    let fake = with(1);
    let ended = run(&fake, "conference end sip standup");
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.starts_with(&format!("error: {text}; nobody can be asked here")), "{ended:?}");
    let dry = run(&fake, "conference end sip standup --dry-run");
    assert_eq!((dry.code, dry.out), (0, format!("{text} (dry run: nothing was changed)\n")));
    assert!(fake.asked().iter().all(|asked| asked.starts_with("GET ")), "{:?}", fake.asked());
    let ended = run(&fake, "conference end sip standup --yes");
    assert_eq!((ended.code, ended.out.as_str()), (0, "ended standup; 1 member told to leave\n"));
    let ended = run(&with(0), "conference end sip standup");
    assert_eq!((ended.code, ended.out.as_str()), (0, "ended standup; 0 members told to leave\n"));
}

#[test]
fn point_5_what_is_listed_of_conferences_is_the_body_of_the_api() {
    let fake = Fake::new(|request| match request.path.as_str() {
        "/v1/conferences" => list([conference(1)]),
        _ => Reply::Json(200, json!(conference(1))),
    });
    let body: Value = serde_json::from_str(&run(&fake, "conference list sip --json").out).unwrap();
    assert_eq!(body["data"], json!([conference(1)]));
    let body: Value = serde_json::from_str(&run(&fake, "conference list sip standup --json").out).unwrap();
    assert_eq!(body, json!(conference(1)));
    let rows = run(&fake, "conference list sip standup").out;
    assert_eq!(rows, format!("MEMBER\tSTATE\tPARTY\tMUTED\tCALL\n{ID}.a\tinside\t1003\t\t{ID}\n"));
}

// === recordings ===

fn recorder(events: String, status: RecordingStatus, file: &'static str) -> Fake {
    telling(events, move |method, path| match (method, path) {
        ("POST", path) if path.ends_with("/recordings") => {
            Reply::Json(202, json!(recording(RecordingStatus::Recording)))
        }
        ("POST", _) => Reply::Json(202, json!(recording(RecordingStatus::Stopping))),
        ("GET", path) if path.ends_with("/file") && status == RecordingStatus::Stored => {
            Reply::Text(200, file)
        }
        ("GET", path) if path.ends_with("/file") => problem(Code::WrongState, "the recording is recording"),
        ("GET", path) if path.starts_with("/v1/recordings/") => Reply::Json(200, json!(recording(status))),
        ("GET", "/v1/recordings") => list([recording(status)]),
        _ => Reply::Json(200, json!(fake::call(Status::InProgress))),
    })
}

#[test]
fn a_start_prints_the_id_when_the_server_records_and_fails_when_it_does_not() {
    let started = event(2, "recording.started", "04", &format!("being recorded as {REC}"));
    let fake = recorder(started, RecordingStatus::Recording, "");
    let ended = run(&fake, "record start sip call_id=K5DQ2M");
    assert_eq!((ended.code, ended.out), (0, format!("{REC}\n")));
    assert!(ended.err.contains(&format!("ifbus record stop sip rec_id={REC}")), "{}", ended.err);
    let failed = event(2, "call.verb_failed", "04", "recording failed: no right `system`");
    let ended = run(&recorder(failed, RecordingStatus::Failed, ""), "record start sip call_id=K5DQ2M");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(ended.err.starts_with("error: not recorded: recording failed: no right `system`"), "{ended:?}");
}

#[test]
fn a_stop_waits_until_the_file_is_stored_or_says_why_not() {
    let fake = recorder(String::new(), RecordingStatus::Stored, "");
    for line in ["record stop sip call_id=K5DQ2M", "record stop sip rec_id=W3C8HN"] {
        let ended = run(&fake, line);
        assert_eq!((ended.code, ended.out), (0, format!("{REC}, stored, 12.3 s, {} bytes\n", WAV.len())));
    }
    let ended = run(&recorder(String::new(), RecordingStatus::Failed, ""), "record stop sip rec_id=W3C8HN");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let text = format!("error: {REC} cannot be stored: the server has\\x1b[31m no part of it");
    assert!(ended.err.starts_with(&text), "{ended:?}");
}

#[test]
fn a_file_is_fetched_checked_and_never_written_over_unasked() {
    let fake = recorder(String::new(), RecordingStatus::Stored, WAV);
    let home = home(&fake);
    let out = home.folder.join("talk.wav");
    let line = format!("record fetch sip rec_id=W3C8HN out={}", out.display());
    let ended = home.run(&line);
    let sha256 = recording(RecordingStatus::Stored).sha256.unwrap();
    let expected = format!("{}  12.3 s, {} bytes, sha256 {sha256}\n", out.display(), WAV.len());
    assert_eq!((ended.code, ended.out), (0, expected), "{}", ended.err);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), WAV);
    std::fs::write(&out, "mine").unwrap();
    let ended = home.run(&line);
    assert!(ended.code == 1 && ended.out.is_empty() && ended.err.contains("is there already"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
    assert_eq!(home.run(&format!("{line} --force")).code, 0);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), WAV);
    let mut there = home.command(&["record", "fetch", "sip", "call_id=K5DQ2M", "--json"]);
    let ended: Ended = there.current_dir(&home.folder).output().unwrap().into();
    let body: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((ended.code, body), (0, json!(recording(RecordingStatus::Stored))));
    assert_eq!(std::fs::read_to_string(home.folder.join(format!("{REC}.wav"))).unwrap(), WAV);
}

#[test]
fn what_is_not_the_file_that_was_told_of_leaves_nothing_behind() {
    for (status, file, code) in [
        (RecordingStatus::Stored, "another file", 1),
        (RecordingStatus::Recording, WAV, 1),
        (RecordingStatus::Failed, WAV, 1),
    ] {
        let fake = recorder(String::new(), status, file);
        let home = home(&fake);
        let ended = home.run(&format!("record fetch sip rec_id=W3C8HN out={}/x.wav", home.folder.display()));
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{ended:?}");
        assert_eq!(std::fs::read_dir(&home.folder).unwrap().count(), 0, "nothing is left: {ended:?}");
    }
}

// === drain ===

/// Servers, and how the first one stands after a drain.
fn fleet(others: &'static [(&'static str, ServerState)], inbound: Option<Inbound>) -> Fake {
    Fake::new(move |request| {
        let mut first = fake::server("pbx1", ServerState::Up, 2);
        let drained = || {
            let since = "2026-11-22T10:52:00Z".parse().unwrap();
            let drain = Some(DrainView { since, inbound: inbound.clone() });
            ServerView { drain, state: ServerState::Draining, ..fake::server("pbx1", ServerState::Up, 2) }
        };
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/v1/servers") => {
                let others = others.iter().map(|(name, state)| fake::server(name, *state, 0));
                list(std::iter::once(first).chain(others).collect::<Vec<_>>())
            }
            ("POST", path) if path.ends_with("/drain") => Reply::Json(200, json!(drained())),
            ("GET", path) if path.starts_with("/v1/servers/") => {
                let gone = ServerView { state: ServerState::Drained, calls: 0, ..drained() };
                Reply::Json(200, json!(gone))
            }
            _ => {
                first.calls = 0;
                Reply::Json(200, json!(first))
            }
        }
    })
}

const LAST: &str = "drain pbx1 (asterisk): 2 calls of ours go on; no other asterisk takes calls";

#[test]
fn point_15_a_drain_of_the_last_server_of_a_kind_is_asked_about() {
    for others in [&[][..], &[("pbx2", ServerState::Down), ("pbx3", ServerState::Draining)]] {
        let fake = fleet(others, Some(Inbound::Closed));
        let ended = run(&fake, "drain sip pbx1");
        assert_eq!((ended.code, ended.out.as_str()), (2, ""));
        assert!(ended.err.starts_with(&format!("error: {LAST}; nobody can be asked here")), "{ended:?}");
        let dry = run(&fake, "drain sip pbx1 --dry-run");
        assert_eq!((dry.code, dry.out), (0, format!("{LAST} (dry run: nothing was changed)\n")));
        assert_eq!(fake.asked(), ["GET /v1/servers"; 2], "nothing was changed");
        let ended = run(&fake, "drain sip pbx1 --yes");
        let text = "pbx1 draining: no new calls of ours, inbound closed; 2 calls of ours left\n";
        assert_eq!((ended.code, ended.out.as_str()), (0, text));
    }
    let ended = run(&fleet(&[("pbx2", ServerState::Up)], Some(Inbound::Closed)), "drain sip pbx1");
    assert_eq!((ended.code, ended.err.as_str()), (0, "take it back: ifbus undrain sip pbx1\n"));
}

#[test]
fn point_15_the_answer_says_whether_telephones_can_still_call_and_what_is_needed() {
    let need = Some("the dialplan context `ifbus-inbound`".to_owned());
    for (inbound, out, err) in [
        (Some(Inbound::Open { need }), "inbound open", "needs the dialplan context `ifbus-inbound`"),
        (Some(Inbound::Open { need: None }), "inbound open", "can still call"),
        (None, "inbound not known yet", "has not confirmed it"),
    ] {
        let ended = run(&fleet(&[("pbx2", ServerState::Up)], inbound), "drain sip pbx1");
        assert!(ended.code == 0 && ended.out.contains(out) && ended.err.contains(err), "{ended:?}");
    }
}

#[test]
fn a_drain_with_wait_ends_when_the_last_call_is_gone() {
    let fake = fleet(&[("pbx2", ServerState::Up)], Some(Inbound::Closed));
    let ended = run(&fake, "drain sip pbx1 --wait");
    assert_eq!(ended.out.lines().last(), Some("pbx1 is drained: no call of ours is left on it"));
    let body: Value = serde_json::from_str(&run(&fake, "drain sip pbx1 --wait --json").out).unwrap();
    assert_eq!((&body["state"], &body["calls"]), (&json!("drained"), &json!(0)));
}

#[test]
fn an_undrain_is_just_done_and_an_unknown_server_is_exit_3() {
    let fake = fleet(&[], None);
    let ended = run(&fake, "undrain sip pbx1");
    assert_eq!((ended.code, ended.out.as_str()), (0, "pbx1 up: it gets calls again\n"));
    let ended = run(&fake, "drain sip pbx-1");
    assert_eq!((ended.code, ended.out.as_str()), (3, ""));
    let text = "error: no server is called `pbx-1`; nothing was changed\n  did you mean pbx1?";
    assert!(ended.err.starts_with(text), "{ended:?}");
}

// === where they are shown ===

#[test]
fn a_call_shows_its_conference_and_every_recording_of_it() {
    let fake = Fake::new(|request| match request.path.as_str() {
        "/v1/recordings" => list([recording(RecordingStatus::Stored), recording(RecordingStatus::Failed)]),
        _ => Reply::Json(200, invited(true)),
    });
    let out = run(&fake, "show call K5DQ2M").out;
    assert!(out.contains("\nin        conference standup, 1 of 1 leg inside\n"), "{out}");
    assert!(out.contains(&format!("\nrecording {REC}, stored, 12.3 s, {} bytes\n", WAV.len())), "{out}");
    let failed = format!("\nrecording {REC}, failed: the server has\\x1b[31m no part of it\n");
    assert!(out.contains(&failed), "{out}");
}
