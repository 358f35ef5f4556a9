//! `ifbus doctor`, and the report it writes for others.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use serde_json::{Value, json};

use crate::rig::Rig;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("the_doctor_finds_nothing_where_nothing_is_and_names_what_is", On::OneDouble, findings),
    ("a_report_for_others_holds_no_number_and_no_secret", On::OneDouble, bundle),
];

fn findings(_: &Target) -> Result<(), Skipped> {
    let double = Arc::new(
        AsteriskServer::start(Bind::default(), Options::new(Profile::V22)).expect("loopback has ports"),
    );
    let rig = Rig::around(Arc::clone(&double));
    let none = rig.ifbus("doctor").ends(0);
    assert!(none.out.contains("warn  orchestrator  none runs here"), "{none:#?}");
    assert_eq!(rig.orchestrators(), [0; 0], "it starts nothing");

    rig.add();
    let well = rig.ifbus("doctor").ends(0);
    for line in ["ok    orchestrator", "ok    store", "ok    files", "ok    config", "ok    pbx1"] {
        assert!(well.out.contains(line), "{line}: {well:#?}");
    }
    assert!(well.out.lines().last().is_some_and(|line| line.starts_with("0 to fix, 0 to know")), "{well:#?}");
    let body: Value = serde_json::from_str(&rig.ifbus("doctor --json").ends(0).out).expect("one document");
    assert_eq!((&body["object"], &body["ok"]), (&json!("doctor"), &json!(true)));

    let log = rig.data().join("orchestrator.log");
    let mode =
        |mode| std::fs::set_permissions(&log, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    std::fs::set_permissions(rig.data(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    mode(0o644);
    let exposed = rig.ifbus("doctor").ends(1);
    assert!(exposed.out.contains("orchestrator.log can be read by others"), "{exposed:#?}");
    assert!(exposed.out.contains("do: chmod 600 "), "{exposed:#?}");
    mode(0o600);

    double.faults(|faults| faults.refuse = true);
    double.kill();
    rig.until("it is down", |rig| rig.ifbus("list sip").out.contains("\tdown\t"));
    let dead = rig.ifbus("doctor").ends(1);
    assert!(dead.out.contains("fail  pbx1          management: "), "{dead:#?}");
    assert!(dead.out.contains("1 to fix"), "{dead:#?}");
    Ok(())
}

fn bundle(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    // Numbers that are nothing else: one that rings, one that is refused, one in an error.
    let numbers = ["1001", "1008", "77123456789", "+441632960961"];
    let id = rig.talk("1001", "1008");
    rig.ifbus("call sip from=1001 to=77123456789");
    rig.ifbus("call sip from=1001 to=+441632960961");
    rig.ifbus(&format!("hangup sip call_id={id}")).ends(0);
    let written = rig.ifbus("doctor --bundle report.tar").ends(0);
    assert!(written.err.contains("wrote report.tar ("), "{written:#?}");
    let file = rig.folder.join("report.tar");
    assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    let list = crate::process::run(std::process::Command::new("tar").args(["-tvf"]).arg(&file), "").ends(0);
    for part in ["doctor.json", "version.txt", "log.txt", "summary.json", "servers.json", "metrics.txt"] {
        assert!(list.out.contains(part), "{list:#?}");
    }
    let text = |part: &str| {
        let mut tar = std::process::Command::new("tar");
        crate::process::run(tar.arg("-xOf").arg(&file).arg(part), "").ends(0).out
    };
    assert!(
        text("log.txt").lines().count() > 3 && text("log.txt").contains("event=\"request\""),
        "{}",
        text("log.txt")
    );
    assert!(text("servers.json").contains("pbx1"));
    let token = std::fs::read_to_string(rig.data().join("token")).expect("there is one");
    for part in ["doctor.json", "log.txt", "summary.json", "servers.json", "metrics.txt"] {
        let text = text(part);
        for number in numbers {
            // As a word of its own: a port or a count may hold the same digits.
            let is_word = |c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '.';
            assert!(!text.split(is_word).any(|word| word == number), "{part} holds {number}: {text}");
        }
        for secret in [token.trim(), crate::rig::SECRET] {
            assert!(!text.contains(secret), "{part} holds a secret");
        }
    }
    Ok(())
}
