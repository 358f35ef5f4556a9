//! Drain, load, health, inspection, and orders of calls where there is no agent.

use std::time::Duration;

use ifbus_call::order::{Done, Inbound, Probed};
use ifbus_call::{Finding, Interface, LegId, Order, Verdict, Why};

use super::rig::Rig;

#[test]
fn a_drain_sets_the_variable_that_its_script_asks_for() {
    let mut rig = Rig::ready(&[]);
    assert_eq!(rig.outcome(Order::Drain { on: true }), Ok(Done::Drained(Inbound::Closed)));
    assert_eq!(rig.server.variables["ifbus_drain"], 1);
    assert_eq!(
        rig.outcome(Order::Drain { on: true }),
        Ok(Done::Drained(Inbound::Closed)),
        "twice is as good"
    );
    assert_eq!(rig.outcome(Order::Drain { on: false }), Ok(Done::Drained(Inbound::Open { need: None })));
    assert_eq!(rig.server.variables["ifbus_drain"], 0);
}

#[test]
fn a_variable_that_nobody_asks_for_is_not_made() {
    let mut rig = Rig::ready(&[]);
    rig.server.variables.clear();
    let Ok(Done::Drained(Inbound::Open { need: Some(need) })) = rig.outcome(Order::Drain { on: true }) else {
        panic!("it stays open")
    };
    assert!(need.contains("ifbus setup opensips"), "{need}");
    assert!(rig.server.variables.is_empty(), "or it would look as if somebody did");
}

#[test]
fn load_is_what_the_dialogs_are() {
    let mut rig = Rig::ready(&[]);
    let Ok(Done::Loaded(load)) = rig.outcome(Order::Load) else { panic!("figures") };
    assert_eq!((load.legs, load.legs_max, load.legs_ever), (Some(1), None, Some(77)));
}

#[test]
fn health_is_asked_before_all_that_waits_and_once() {
    let mut rig = Rig::ready(&[("mi", "udp")]);
    assert!(matches!(rig.outcome(Order::Probe), Ok(Done::Probed(p)) if p[0].answered.is_ok()));
    rig.server.deaf = vec!["uptime"];
    let ticket = rig.order(Order::Probe);
    rig.pass(Duration::from_millis(3_100));
    let Some(Ok(Done::Probed(probed))) = rig.answers.get(&ticket) else { panic!("within its deadline") };
    assert!(matches!(&probed[..], [Probed { interface: Interface::Management, answered: Err(_) }]));
}

#[test]
fn orders_of_calls_without_an_agent_say_what_is_missing() {
    let mut rig = Rig::ready(&[]);
    let refused = rig.outcome(Order::Join { a: LegId(1), b: LegId(2) }).expect_err("there is none");
    assert_eq!(refused.why, Why::Prerequisite);
    assert!(refused.said.expect("words").text.contains("sip=off"));
    assert_eq!(rig.outcome(Order::ProbeSip), Ok(Done::Probed(Vec::new())));
}

fn inspect(rig: &mut Rig) -> Vec<Finding> {
    match rig.outcome(Order::Inspect) {
        Ok(Done::Inspected(findings)) => findings,
        other => panic!("findings, not {other:?}"),
    }
}

fn verdicts(findings: &[Finding], area: &str) -> Vec<Verdict> {
    findings.iter().filter(|finding| finding.area == area).map(|finding| finding.verdict).collect()
}

#[test]
fn an_inspection_finds_everything_where_everything_is() {
    let mut rig = Rig::ready(&[("events", "127.0.0.1:8449")]);
    rig.event(r#"{"jsonrpc":"2.0","method":"E_IFBUS_HEARTBEAT"}"#);
    let findings = inspect(&mut rig);
    for area in ["version", "modules", "events", "management", "drain", "dialogs"] {
        assert_eq!(verdicts(&findings, area), [Verdict::Ok], "{area}: {findings:?}");
    }
    assert_eq!(verdicts(&findings, "routes"), [Verdict::Skip]);
}

#[test]
fn an_inspection_finds_what_is_missing_and_says_what_to_do() {
    let mut rig = Rig::new(&[]);
    rig.server.version = "OpenSIPS (3.1.2 (x86_64/linux))";
    rig.server.which = vec!["dlg_list", "get_statistics"];
    rig.server.variables.clear();
    rig.start();
    let findings = inspect(&mut rig);
    assert_eq!(verdicts(&findings, "version"), [Verdict::Warn]);
    assert_eq!(verdicts(&findings, "modules"), [Verdict::Fail; 3], "{findings:?}");
    assert_eq!(verdicts(&findings, "events"), [Verdict::Warn]);
    assert_eq!(verdicts(&findings, "drain"), [Verdict::Warn]);
    let mut wrong = findings.iter().filter(|f| matches!(f.verdict, Verdict::Warn | Verdict::Fail));
    assert!(wrong.all(|finding| finding.fix.is_some()), "{findings:?}");
    assert!(rig.server.variables.is_empty(), "it changes nothing");
}

#[test]
fn an_inspection_that_is_not_answered_ends_and_says_so() {
    let mut rig = Rig::ready(&[("mi", "udp")]);
    rig.server.deaf = vec!["shv_get"];
    let findings = inspect(&mut rig);
    assert!(verdicts(&findings, "drain").contains(&Verdict::Warn), "{findings:?}");
}
