//! What an operator is told of his configuration.

use ifbus_call::order::Done;
use ifbus_call::{Finding, Order, Verdict};
use serde_json::json;

use super::rig::{METHODS, Rig};

fn findings(rig: &mut Rig) -> Vec<Finding> {
    match rig.outcome(Order::Inspect) {
        Ok(Done::Inspected(findings)) => findings,
        other => panic!("{other:?}"),
    }
}

fn worst(findings: &[Finding], area: &str) -> Option<Verdict> {
    findings.iter().filter(|finding| finding.area == area).map(|finding| finding.verdict).max()
}

#[test]
fn a_whole_configuration_has_nothing_to_be_done() {
    let mut rig = Rig::ready(&[]);
    rig.tell(r#"{"event":"heartbeat","boot":"1"}"#);
    let found = findings(&mut rig);
    for area in ["dialogs", "drain", "events", "management", "modules", "sip", "version"] {
        assert_eq!(worst(&found, area), Some(Verdict::Ok), "{area}: {found:?}");
    }
    assert_eq!(worst(&found, "routes"), Some(Verdict::Skip));
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let mut rig = Rig::with(&[("sip", "off")]);
    rig.no_events = true;
    rig.table = false;
    let without: Vec<&str> = METHODS.into_iter().filter(|method| *method != "tm.cancel").collect();
    rig.instead.insert("system.listMethods", (200, json!({ "result": without })));
    rig.start();
    let found = findings(&mut rig);
    for (area, verdict) in [
        ("modules", Verdict::Fail),
        ("events", Verdict::Warn),
        ("drain", Verdict::Warn),
        ("sip", Verdict::Warn),
    ] {
        let finding = found.iter().find(|finding| finding.area == area).expect("it is told");
        assert_eq!(finding.verdict, verdict, "{finding:?}");
        assert!(finding.fix.is_some(), "{finding:?}");
    }
}

#[test]
fn clear_text_off_this_host_is_told() {
    let mut rig = Rig::ready(&[("host", "192.0.2.1"), ("sip_listen", "192.0.2.2:5070")]);
    assert!(rig.warnings.iter().any(|warning| warning.code == "clear_text"));
    assert_eq!(worst(&findings(&mut rig), "management"), Some(Verdict::Warn));
}

#[test]
fn what_is_not_answered_is_told_as_that() {
    let mut rig = Rig::ready(&[]);
    rig.mute = true;
    let found = findings(&mut rig);
    assert_eq!(worst(&found, "management"), Some(Verdict::Fail));
    assert_eq!(worst(&found, "sip"), Some(Verdict::Ok), "SIP was");
}
