//! Point 5: `--json` is the body of the API, of the form the document says, and nothing else is on stdout.

use ifbus_doubles::phone::Plan;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process;
use crate::rig::{Rig, SECRET};
use crate::schema::check;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("point_5_every_json_output_is_of_the_form_of_the_document", On::OneDouble, every_output),
    ("point_5_what_is_looked_at_is_the_body_of_the_api", On::OneDouble, the_same_body),
    ("point_5_on_error_stdout_is_empty_and_stderr_one_problem", On::OneDouble, errors),
];

/// The document of the orchestrator that runs.
struct Document(Value);

impl Document {
    fn of(rig: &Rig) -> Self {
        Self(rig.api().get("/openapi.json").json())
    }

    #[track_caller]
    fn holds(&self, schema: &str, value: &Value, words: &str) {
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        if let Err(mistake) = check(&self.0, &schema, value, "$") {
            panic!("ifbus {words}: {mistake}\n{value:#}");
        }
    }
}

/// The only document on stdout.
#[track_caller]
fn one(rig: &Rig, words: &str, code: i32) -> Value {
    let ran = rig.ifbus(&format!("{words} --json")).ends(code);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:#?}"))
}

fn every_output(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let auth = format!("user=ifbus,secret={SECRET}");
    let add = rig.add_words("pbx1", &auth);
    let added = one(&rig, &add, 0);
    let document = Document::of(&rig);
    document.holds("ServerView", &added, &add);
    rig.plan("1002", Plan::answers(std::time::Duration::ZERO));
    rig.plan("1009", Plan::busy());

    let call = one(&rig, "call sip from=1001 to=1002", 0);
    document.holds("CallView", &call, "call");
    let id = call["id"].as_str().expect("a call has an id").to_owned();
    document.holds("CallView", &one(&rig, "call sip from=1001 to=1002 --detach", 0), "call --detach");
    let follow = rig.ifbus("call sip from=1001 to=1009 --follow --json").ends(1);
    let lines: Vec<Value> =
        follow.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (last, rest) = lines.split_last().expect("a call tells");
    document.holds("CallView", &rest[0], "call --follow");
    document.holds("CallView", last, "call --follow");
    rest[1..].iter().for_each(|event| document.holds("EventView", event, "call --follow"));

    conferences_and_recordings(&rig, &document, &id);
    for (words, schema) in [
        ("list sip".to_owned(), "ListBody_ServerView"),
        ("calls".to_owned(), "ListBody_CallView"),
        (format!("show call {id}"), "CallView"),
        ("show server pbx1".to_owned(), "ServerView"),
        ("test sip pbx1".to_owned(), "TestReport"),
        (format!("hold sip call_id={id}"), "OrderBody"),
        (format!("resume sip call_id={id}"), "OrderBody"),
        (format!("mute sip call_id={id}"), "OrderBody"),
        (format!("mute sip call_id={id}"), "OrderBody"), // it is so already
        (format!("unmute sip call_id={id}"), "OrderBody"),
        (format!("dtmf sip call_id={id} digits=1"), "OrderBody"),
        (format!("transfer sip call_id={id} to=1003"), "OrderBody"),
        (format!("hangup sip call_id={id}"), "OrderBody"),
    ] {
        document.holds(schema, &one(&rig, &words, 0), &words);
    }
    let foreign = one(&rig, "calls --foreign", 0);
    for leg in foreign["data"].as_array().expect("a list") {
        document.holds("ForeignView", leg, "calls --foreign");
    }
    let plan = one(&rig, "hangup sip --all --dry-run", 0);
    assert_eq!((&plan["object"], plan["calls"].as_array().map(Vec::len)), (&json!("plan"), Some(1)));
    for order in one(&rig, "hangup sip --all --yes", 0)["data"].as_array().expect("a list") {
        document.holds("OrderBody", order, "hangup --all");
    }

    let mut listening = rig.command();
    listening.args(["events", "--json"]).stdin(std::process::Stdio::null());
    let listening =
        listening.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let listening = listening.expect("the binary can be started");
    rig.until("it listens", |_| process::listens_to_ctrl_c(listening.id()));
    // It may listen to the signal before it listens to events: something happens until it has seen something.
    let (pid, reader) =
        (listening.id(), std::thread::spawn(move || process::finish(listening, "events --json".to_owned())));
    rig.until("something happened", |rig| {
        rig.ifbus("call sip from=1001 to=1009").ends(1);
        rig.api().get("/metrics").text.lines().any(|line| line.starts_with("ifbus_events_total"))
    });
    process::signal(pid, Signal::INT);
    let events = reader.join().expect("it ends").ends(0);
    for line in events.out.lines() {
        let event: Value = serde_json::from_str(line).expect("one document a line");
        document.holds("EventView", &event, "events");
    }
    document.holds("RemovedBody", &one(&rig, "remove sip pbx1 --yes", 0), "remove");

    let (host, port) = (rig.ami.ip(), rig.ami.port());
    let found = one(&rig, &format!("detect {host} --port {port}"), 0);
    document.holds("DetectionBody", &found, "detect");
    document.holds("MatrixBody", &one(&rig, "matrix --kind asterisk", 0), "matrix");

    // What is no body of the API is JSON, too.
    for words in [
        "version",
        "config show",
        "config show --origin",
        "config schema",
        "config example",
        "setup asterisk",
        "help",
        "help examples",
        "help call",
        "completion bash",
        "man man",
        "stop",
    ] {
        assert!(one(&rig, words, 0).is_object(), "{words}");
    }
    Ok(())
}

/// The bodies of conferences, recordings and drain; the call is as before afterwards.
fn conferences_and_recordings(rig: &Rig, document: &Document, id: &str) {
    document.holds("ConferenceView", &one(rig, "conference create sip standup", 0), "conference create");
    document.holds("ConferenceView", &one(rig, "conference create sip standup", 0), "conference create");
    let added = one(rig, "conference add sip standup to=1004", 0);
    document.holds("CallView", &added, "conference add");
    let member = added["id"].as_str().expect("a call has an id");
    document.holds("CallView", &one(rig, "conference add sip standup to=1009", 1), "conference add, busy");
    let detached = one(rig, "conference add sip standup to=1005 --detach", 0);
    document.holds("CallView", &detached, "conference add --detach");
    let second = detached["id"].as_str().expect("a call has an id").to_owned();
    rig.until("it is inside", |rig| rig.told(&second, "conference.joined"));
    for (words, schema) in [
        ("conference list sip".to_owned(), "ListBody_ConferenceView"),
        ("conference list sip standup".to_owned(), "ConferenceView"),
        (format!("conference mute sip standup member={member}"), "OrderBody"),
        (format!("conference mute sip standup member={member}.a"), "OrderBody"), // it is so already
        (format!("conference unmute sip standup member={member}"), "OrderBody"),
        (format!("conference kick sip standup member={member}"), "OrderBody"),
    ] {
        document.holds(schema, &one(rig, &words, 0), &words);
    }
    let plan = one(rig, "conference end sip standup --dry-run", 0);
    assert_eq!((&plan["object"], &plan["calls"]), (&json!("plan"), &json!([second])));
    document.holds("ConferenceView", &one(rig, "conference end sip standup --yes", 0), "conference end");
    rig.until("its member is gone", |rig| rig.call(&second)["status"] == "completed");

    let started = one(rig, &format!("record start sip call_id={id}"), 0);
    document.holds("RecordingView", &started, "record start");
    let recording = started["id"].as_str().expect("a recording has an id");
    for words in [format!("record stop sip call_id={id}"), format!("record fetch sip rec_id={recording}")] {
        document.holds("RecordingView", &one(rig, &words, 0), &words);
    }

    let plan = one(rig, "drain sip pbx1 --dry-run", 0);
    let would = plan["would"].as_str().expect("a sentence");
    assert!(plan["object"] == "plan" && would.ends_with("no other asterisk takes calls"), "{plan:#}");
    document.holds("ServerView", &one(rig, "drain sip pbx1 --yes", 0), "drain");
    document.holds("ServerView", &one(rig, "undrain sip pbx1", 0), "undrain");
}

fn the_same_body(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let id = rig.talk("1001", "1002");
    rig.until("the call is quiet", |rig| rig.told(&id, "call.answered"));
    rig.ifbus("conference create sip standup").ends(0);
    for (words, path) in [
        ("list sip".to_owned(), "/v1/servers".to_owned()),
        ("calls".to_owned(), "/v1/calls?limit=50".to_owned()),
        (
            "calls --status in-progress --server pbx1".to_owned(),
            "/v1/calls?status=in-progress&server=pbx1".to_owned(),
        ),
        ("calls --foreign".to_owned(), "/v1/calls?foreign=true".to_owned()),
        ("matrix".to_owned(), "/v1/matrix".to_owned()),
        ("matrix --kind asterisk".to_owned(), "/v1/matrix?kind=asterisk".to_owned()),
        (format!("show call {id}"), format!("/v1/calls/{id}")),
        ("conference list sip".to_owned(), "/v1/conferences".to_owned()),
        ("conference list sip standup".to_owned(), "/v1/conferences/standup".to_owned()),
        ("show server pbx1".to_owned(), "/v1/servers/pbx1".to_owned()),
    ] {
        rig.until(&words, |rig| still(one(rig, &words, 0)) == still(rig.api().get(&path).json()));
    }
    Ok(())
}

/// A body without what moves by itself: the moment it was true, and times of probes.
fn still(mut body: Value) -> Value {
    match &mut body {
        Value::Object(fields) => {
            for moving in ["as_of", "duration_s", "answered_ms", "load", "figures"] {
                fields.remove(moving);
            }
            fields.values_mut().for_each(|value| *value = still(value.take()));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| *value = still(value.take())),
        _ => {}
    }
    body
}

fn errors(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let document = Document::of(&rig);
    for (words, code) in [
        ("call sip pbx9 from=1001 to=1002", 3),
        ("show call 000000", 3),
        ("hold sip call_id=000000", 3),
        ("remove sip pbx9", 3),
        ("conference list sip nowhere", 3),
        ("conference add sip nowhere to=1003", 3),
        ("conference add sip nowhere", 2),
        ("record stop sip rec_id=000000", 3),
        ("record fetch sip call_id=000000", 3),
        ("drain sip pbx9", 3),
        ("undrain sip pbx9", 3),
        ("drain sip pbx1", 2),
        ("test sip pbx9", 3),
        ("add sip pbx2 asterisk --auth user=x,secret=y --set ari_port=nonsense", 2),
        ("call sip from=1001", 2),
        ("nonsense", 2),
    ] {
        let ran = rig.ifbus(&format!("{words} --json")).ends(code);
        assert_eq!(ran.out, "", "{ran:#?}");
        let problem: Value =
            serde_json::from_str(&ran.err).unwrap_or_else(|error| panic!("{error}: {ran:#?}"));
        assert_eq!(problem["exit"], code, "{ran:#?}");
        if problem.get("status").is_some() {
            document.holds("ProblemBody", &problem, words);
        }
    }
    Ok(())
}
