//! Conferences, recordings and drain by the command line: what the phones hear, what is in the file, what a death of the
//! orchestrator takes away (nothing).

use std::collections::BTreeSet;
use std::fs;

use ifbus_doubles::asterisk::{Classes, Options, Profile};
use ifbus_doubles::phone::tone::recognise_samples;
use ifbus_doubles::phone::{Plan, Tone};
use serde_json::{Value, json};

use crate::process::{self, Ran};
use crate::rig::{Rig, SECRET, words_of};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("a_recording_is_fetched_whole_with_its_digest_and_both_voices", On::Each, record_and_fetch),
    ("a_call_with_record_yes_is_in_the_file_from_its_first_talk", On::Each, record_from_the_start),
    ("kill_9_while_recording_loses_no_voice", On::Each, killed_while_recording),
    ("members_hear_each_other_until_muted_kicked_or_ended", On::Each, conference),
    ("kill_9_while_in_a_conference_leaves_it_as_it_is", On::Each, killed_in_a_conference),
    ("what_a_server_lacks_for_a_recording_or_a_drain_is_said", On::OneDouble, lacking),
    ("point_15_a_drained_server_refuses_and_an_undrained_one_takes", On::Each, drain),
];

/// Time passes in the call, enough to be heard in a recording: digits are played, one after the other.
fn a_while(rig: &Rig, id: &str) {
    rig.ifbus(&format!("dtmf sip call_id={id} digits=14701")).ends(0);
}

/// The numbers whose voice is in a file.
fn voices(wav: &[u8], numbers: &[&str]) -> BTreeSet<String> {
    assert_eq!((&wav[..4], &wav[8..16]), (&b"RIFF"[..], &b"WAVEfmt "[..]));
    let number = |at: usize| u32::from_le_bytes(wav[at..at + 4].try_into().expect("four bytes")) as usize;
    assert_eq!(number(4) + 8, wav.len(), "the length of the file is in it");
    let rate_and_channels = (number(24), u16::from_le_bytes([wav[22], wav[23]]));
    assert_eq!(rate_and_channels, (8000, 1));
    let data = 20 + number(16);
    assert_eq!((&wav[data..data + 4], number(data + 4)), (&b"data"[..], wav.len() - data - 8));
    let samples: Vec<i16> =
        wav[data + 8..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let heard: BTreeSet<Tone> = samples.chunks(1200).flat_map(recognise_samples).collect();
    numbers
        .iter()
        .filter(|number| heard.contains(&Tone::of(number)))
        .map(|number| (*number).to_owned())
        .collect()
}

/// Fetches a recording into a file of its own; the digest that is printed is that of the file.
#[track_caller]
fn fetch(rig: &Rig, which: &str, name: &str) -> Vec<u8> {
    let fetched = rig.ifbus(&format!("record fetch sip {which} out={name}")).ends(0);
    let file = rig.folder.join(name);
    let wav = fs::read(&file).expect("the file is there");
    let summed = process::run(std::process::Command::new("sha256sum").arg(&file), "").ends(0);
    let digest = summed.out.split(' ').next().expect("a digest").to_owned();
    let says = (fetched.out.starts_with(name), fetched.out.trim_end().ends_with(&format!("sha256 {digest}")));
    assert_eq!(says, (true, true), "{fetched:#?}");
    assert!(fetched.out.contains(&format!(" {} bytes, ", wav.len())), "{fetched:#?}");
    wav
}

/// The words that both were heard by.
fn both(numbers: &[&str]) -> BTreeSet<String> {
    numbers.iter().map(|number| (*number).to_owned()).collect()
}

fn record_and_fetch(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let id = rig.talk("1001", "1002");
    let started = rig.ifbus(&format!("record start sip pbx1 call_id={id}")).ends(0);
    let recording = started.out.trim_end().to_owned();
    assert!(recording.starts_with("rec_") && recording.len() == 30, "{started:#?}");
    let noted = rig.ifbus("calls").ends(0);
    assert!(noted.out.lines().nth(1).is_some_and(|line| line.ends_with("\trecording")), "{noted:#?}");
    // Not yet: it is still being made.
    let early = rig.ifbus(&format!("record fetch sip rec_id={recording} out=early.wav")).ends(1);
    assert!(early.err.contains("the recording is recording"), "{early:#?}");
    a_while(&rig, &id);
    let stopped = rig.ifbus(&format!("record stop sip call_id={id}")).ends(0);
    assert!(stopped.out.starts_with(&format!("{recording}, stored, ")), "{stopped:#?}");
    let wav = fetch(&rig, &format!("rec_id={recording}"), "talk.wav");
    assert_eq!(voices(&wav, &["1001", "1002"]), both(&["1001", "1002"]));
    assert_eq!(fetch(&rig, &format!("call_id={id}"), "again.wav"), wav, "by the call, too");
    let taken = rig.ifbus(&format!("record fetch sip rec_id={recording} out=talk.wav")).ends(1);
    assert!(taken.err.contains("is there already"), "{taken:#?}");
    let shown = rig.ifbus(&format!("show call {id}")).ends(0);
    assert!(shown.out.contains(&format!("recording {recording}, stored, ")), "{shown:#?}");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    let files: BTreeSet<String> = fs::read_dir(&rig.folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(".wav"))
        .collect();
    assert_eq!(files, both(&["talk.wav", "again.wav"]), "nothing half is left");
    rig.is_free("1001");
    Ok(())
}

fn record_from_the_start(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let called = rig.ifbus("call sip from=1001 to=1002 record=yes").ends(0);
    let id = called.out.lines().next().expect("the id").to_owned();
    rig.hear_each_other("1001", "1002");
    rig.until("it is recorded", |rig| rig.told(&id, "recording.started"));
    a_while(&rig, &id);
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    // Stopping what is over waits for its file all the same.
    rig.ifbus(&format!("record stop sip call_id={id}")).ends(0);
    let wav = fetch(&rig, &format!("call_id={id}"), "talk.wav");
    assert_eq!(voices(&wav, &["1001", "1002"]), both(&["1001", "1002"]));
    Ok(())
}

fn killed_while_recording(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let id = rig.talk("1001", "1002");
    let recording = rig.ifbus(&format!("record start sip call_id={id}")).ends(0).out.trim_end().to_owned();
    rig.kill_9();
    rig.hear_each_other("1001", "1002");
    rig.start_again();
    rig.until("it is adopted", |rig| rig.told(&id, "call.adopted"));
    assert_eq!(rig.call(&id)["recording"], json!(recording), "known again");
    a_while(&rig, &id);
    rig.ifbus(&format!("record stop sip rec_id={recording}")).ends(0);
    let wav = fetch(&rig, &format!("rec_id={recording}"), "talk.wav");
    assert_eq!(voices(&wav, &["1001", "1002"]), both(&["1001", "1002"]));
    let view = rig.api().get(&format!("/v1/recordings/{recording}")).json();
    assert_eq!(view["segments"], 1, "it was never begun anew");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    Ok(())
}

/// Brings a number into the conference; gives its call.
#[track_caller]
fn add(rig: &Rig, number: &str) -> String {
    let added = rig.ifbus(&format!("conference add sip standup to={number}")).ends(0);
    assert!(added.out.contains(&format!("\ninside: {number} in standup on pbx1")), "{added:#?}");
    added.out.lines().next().expect("the id").to_owned()
}

/// The rows of the members, without the head.
fn roll(rig: &Rig) -> Ran {
    rig.ifbus("conference list sip standup").ends(0)
}

fn conference(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    rig.ifbus("conference create sip standup server=pbx1").ends(0);
    let first = add(&rig, "1001");
    let pair = rig.talk("1002", "1003");
    let added = rig.ifbus(&format!("conference add sip standup call_id={pair}")).ends(0);
    assert!(added.out.contains("inside: 1002 and 1003 in standup"), "{added:#?}");
    for (a, b) in [("1001", "1002"), ("1002", "1003"), ("1001", "1003")] {
        rig.hear_each_other(a, b);
    }
    assert_eq!(roll(&rig).out.matches("\tinside\t").count(), 3);
    let noted = rig.ifbus("calls").ends(0);
    assert_eq!(noted.out.matches("conference standup").count(), 2, "{noted:#?}");

    rig.ifbus(&format!("conference mute sip standup member={first}.a")).ends(0);
    rig.until("it is not heard", |rig| !rig.hears("1002", "1001"));
    assert!(rig.hears("1001", "1002"), "it hears the others");
    assert!(roll(&rig).out.lines().any(|row| row.contains("\t1001\tmuted\t")), "{:#?}", roll(&rig));
    let again = rig.ifbus(&format!("conference mute sip standup member={first}.a")).ends(0);
    assert!(again.out.contains("it was so already"), "{again:#?}");
    rig.ifbus(&format!("conference unmute sip standup member={first}.a")).ends(0);
    rig.hear_each_other("1001", "1002");

    rig.ifbus(&format!("conference kick sip standup member={pair}.b")).ends(0);
    rig.is_free("1003");
    rig.hear_each_other("1001", "1002");
    rig.plan("1004", Plan::busy());
    let busy = rig.ifbus("conference add sip standup to=1004").ends(1);
    assert!(busy.out.contains("not inside: busy"), "{busy:#?}");
    let asked = rig.ifbus("conference end sip standup").ends(2);
    assert!(asked.err.contains("hang up 2 calls of ours in it"), "{asked:#?}");
    rig.ifbus("conference end sip standup --yes").ends(0);
    for number in ["1001", "1002"] {
        rig.is_free(number);
    }
    rig.ifbus("conference list sip standup").ends(3);
    rig.until("the server is empty", |rig| rig.legs_on_server().is_empty());
    Ok(())
}

fn killed_in_a_conference(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    rig.ifbus("conference create sip standup").ends(0);
    let calls = ["1001", "1002", "1003"].map(|number| add(&rig, number));
    // Heard first: else "not heard" may be true before the first sound has come.
    rig.hear_each_other("1001", "1003");
    rig.ifbus(&format!("conference mute sip standup member={}.a", calls[2])).ends(0);
    rig.until("the third is not heard", |rig| rig.hears("1003", "1001") && !rig.hears("1001", "1003"));
    rig.kill_9();
    rig.hear_each_other("1001", "1002");
    rig.start_again();
    rig.until("all are members again", |rig| {
        let view = rig.api().get("/v1/conferences/standup").json();
        let inside = |member: &&Value| member["inside"] == true;
        view["members"].as_array().is_some_and(|members| members.iter().filter(inside).count() == 3)
    });
    rig.hear_each_other("1001", "1002");
    rig.until("the third hears", |rig| rig.hears("1003", "1001"));
    assert!(!rig.hears("1001", "1003"), "muted before and after");
    // What was muted before a death can be taken back after it.
    rig.ifbus(&format!("conference unmute sip standup member={}.a", calls[2])).ends(0);
    rig.hear_each_other("1001", "1003");
    let rings = ["1001", "1002", "1003"].map(|number| rig.phones().rings(number));
    assert_eq!(rings, [1, 1, 1], "nobody rang twice");
    add(&rig, "1004");
    rig.hear_each_other("1004", "1001");
    rig.ifbus("conference end sip standup --yes").ends(0);
    for number in ["1001", "1002", "1003", "1004"] {
        rig.is_free(number);
    }
    Ok(())
}

fn drain(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    rig.add();
    let id = rig.talk("1001", "1002");
    let before = rig.api().get("/v1/servers/pbx1").json()["state"].clone();
    let asked = rig.ifbus("drain sip pbx1").ends(2);
    assert!(asked.err.contains("no other asterisk takes calls"), "{asked:#?}");
    let dry = rig.ifbus("drain sip pbx1 --dry-run").ends(0);
    assert!(dry.out.contains("1 call of ours goes on; no other asterisk takes calls"), "{dry:#?}");
    assert_eq!(rig.api().get("/v1/servers/pbx1").json()["state"], before, "nothing was changed");

    let drained = rig.ifbus("drain sip pbx1 --yes").ends(0);
    assert!(drained.out.contains("pbx1 draining: no new calls of ours, inbound closed"), "{drained:#?}");
    let refused = rig.ifbus("call sip from=1003 to=1004").ends(4);
    assert!(refused.err.contains("pbx1  draining"), "{refused:#?}");
    assert_eq!(rig.phones().rings("1003"), 0);
    rig.hear_each_other("1001", "1002");
    let mut waiting = rig.begin("drain sip pbx1 --yes --wait");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    assert_eq!(waiting.wait().expect("it is ours").code(), Some(0));
    assert_eq!(rig.api().get("/v1/servers/pbx1").json()["state"], "drained");

    rig.ifbus("undrain sip pbx1").ends(0);
    let called = rig.ifbus("call sip from=1003 to=1004").ends(0);
    let id = called.out.lines().next().expect("the id").to_owned();
    rig.hear_each_other("1003", "1004");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    Ok(())
}

/// Without the right `system` nothing is recorded and no maintenance is set; without ARI nothing is fetched. Calls go on.
fn lacking(_: &Target) -> Result<(), Skipped> {
    let mut options = Options::new(Profile::V22);
    let user = options.users.get_mut("ifbus").expect("the laboratory's user");
    user.write = Classes::parse("call,originate,reporting,user");
    let rig = Rig::with_double(options);
    rig.add();
    let id = rig.talk("1001", "1002");
    let refused = rig.ifbus(&format!("record start sip call_id={id}")).ends(1);
    assert!(
        refused.err.contains("not recorded: record failed") && refused.err.contains("ermission"),
        "{refused:#?}"
    );
    let stopped = rig.ifbus(&format!("record stop sip call_id={id}")).ends(1);
    assert!(stopped.err.contains("cannot be stored: the server has no part of it"), "{stopped:#?}");
    let drained = rig.ifbus("drain sip pbx1 --yes").ends(1);
    assert!(drained.err.contains("did not take the order"), "{drained:#?}");
    assert_eq!(rig.api().get("/v1/servers/pbx1").json()["state"], "draining", "our own side is closed");
    rig.hear_each_other("1001", "1002");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);

    let rig = Rig::simple();
    let auth = format!("user=ifbus,secret={SECRET}");
    rig.ifbus(&(words_of("pbx1", rig.ami, 0, &auth) + " --set sip=off")).ends(0);
    let id = rig.talk("1001", "1002");
    rig.ifbus(&format!("record start sip call_id={id}")).ends(0);
    let stopped = rig.ifbus(&format!("record stop sip call_id={id}")).ends(1);
    assert!(stopped.err.contains("recordings are fetched over ARI"), "{stopped:#?}");
    let fetched = rig.ifbus(&format!("record fetch sip call_id={id}")).ends(1);
    assert!(fetched.err.contains("the recording is failed"), "{fetched:#?}");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    Ok(())
}
