//! Calls from outside refused and taken again, by maintenance mode or by the operator's dialplan.

use ifbus_call::order::{Done, Evidence, Inbound};
use ifbus_call::{Finding, Order, Verdict, Why};

use super::rig::Rig;

fn drained(rig: &mut Rig, on: bool) -> Inbound {
    match rig.outcome(Order::Drain { on }) {
        Ok(Done::Drained(inbound)) => inbound,
        other => panic!("it should be drained: {other:?}"),
    }
}

fn old(inbound: bool, called: bool) -> Rig {
    let mut rig = Rig::ready(true);
    (rig.server.maintenance, rig.server.inbound, rig.server.called) = (None, inbound, called);
    rig
}

#[test]
fn maintenance_mode_refuses_calls_and_takes_them_again_however_often_it_is_asked() {
    for ari in [true, false] {
        let mut rig = Rig::ready(ari);
        for on in [true, true, false, false] {
            let expected = if on { Inbound::Closed } else { Inbound::Open { need: None } };
            assert_eq!(drained(&mut rig, on), expected);
            assert_eq!(rig.server.maintenance, Some(on));
        }
        assert!(rig.sent.iter().any(|(_, text)| text.contains("Endpoint: all\r\nState: on\r\n")));
        assert_eq!(rig.count("ShowDialPlan") + rig.count("Setvar"), 0);
    }
}

#[test]
fn a_server_without_it_is_told_by_a_variable_if_the_dialplan_asks_for_it() {
    let mut rig = old(true, true);
    assert_eq!(drained(&mut rig, true), Inbound::Closed);
    assert_eq!(rig.server.globals["IFBUS_DRAIN"], "yes");
    assert_eq!(drained(&mut rig, false), Inbound::Open { need: None });
    assert_eq!(rig.server.globals["IFBUS_DRAIN"], "no");
}

#[test]
fn a_context_that_is_missing_or_that_nobody_calls_is_named() {
    for (inbound, called) in [(false, false), (false, true), (true, false)] {
        let mut rig = old(inbound, called);
        let Inbound::Open { need: Some(need) } = drained(&mut rig, true) else {
            panic!("something is needed")
        };
        assert!(need.contains("ifbus-inbound") && need.contains("ifbus setup asterisk"), "{need}");
        assert!(rig.server.globals.is_empty(), "a flag that nobody reads would promise too much");
        assert_eq!(drained(&mut rig, false), Inbound::Open { need: None });
    }
}

#[test]
fn a_flag_is_taken_away_also_when_nobody_reads_it_any_more() {
    let mut rig = old(true, true);
    drained(&mut rig, true);
    rig.server.called = false;
    drained(&mut rig, false);
    assert_eq!(rig.server.globals["IFBUS_DRAIN"], "no");
}

#[test]
fn who_may_not_is_told_so_and_nothing_is_promised() {
    for (action, maintenance) in [("PJSIPSetMaintenance", true), ("ShowDialPlan", false), ("Setvar", false)] {
        let mut rig = if maintenance { Rig::ready(true) } else { old(true, true) };
        rig.server.refuses.insert(action, "Permission denied");
        let refused = rig.outcome(Order::Drain { on: true }).expect_err("it may not");
        assert_eq!((refused.why, refused.evidence), (Why::Refused, Evidence::NotDone), "{action}");
        assert_eq!(refused.said.expect("its words").text, "Permission denied");
    }
}

#[test]
fn silence_is_not_taken_for_a_drain() {
    for action in ["PJSIPSetMaintenance", "ShowDialPlan", "Setvar"] {
        let mut rig = if action.starts_with('P') { Rig::ready(true) } else { old(true, true) };
        rig.server.deaf = vec![action];
        let refused = rig.outcome(Order::Drain { on: true }).expect_err("it is silent");
        assert_eq!((refused.why, refused.evidence), (Why::Unproven, Evidence::Unknown), "{action}");
    }
}

// ---- inspection ----------------------------------------------------------------------------------------------------

fn inspected(rig: &mut Rig) -> Vec<Finding> {
    match rig.outcome(Order::Inspect) {
        Ok(Done::Inspected(findings)) => findings,
        other => panic!("an inspection reports: {other:?}"),
    }
}

fn of<'a>(findings: &'a [Finding], area: &str, word: &str) -> Vec<(Verdict, &'a str)> {
    let about = findings.iter().filter(|line| line.area == area && line.text.contains(word));
    about.map(|line| (line.verdict, line.text.as_str())).collect()
}

#[test]
fn an_inspection_tells_whether_a_drain_closes_more_than_our_side() {
    let mut rigs = [Rig::ready(true), old(true, true), old(true, false), old(false, false)];
    let verdicts = rigs.each_mut().map(|rig| {
        let findings = inspected(rig);
        let found = of(&findings, "drain", "");
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].0
    });
    assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok, Verdict::Warn, Verdict::Warn]);
    assert!(rigs.iter().all(|rig| rig.server.globals.is_empty() && rig.server.maintenance != Some(true)));
}

#[test]
fn an_inspection_tells_whether_there_are_rooms() {
    for roomless in [false, true] {
        let mut rig = Rig::ready(true);
        rig.server.roomless = roomless;
        let verdict = if roomless { Verdict::Fail } else { Verdict::Ok };
        let findings = inspected(&mut rig);
        let found = of(&findings, "dialplan", "_co[n]f-.");
        assert!(matches!(found[..], [(told, _)] if told == verdict), "{found:?}");
    }
}

#[test]
fn an_inspection_hears_whether_the_ends_of_calls_are_heard() {
    for ari in [true, false] {
        let mut rig = Rig::ready(ari);
        let findings = inspected(&mut rig);
        assert_eq!(of(&findings, "rights", "ends of calls"), [(Verdict::Ok, "the ends of calls are heard")]);
        assert!(rig.events.is_empty() && rig.server.channels.is_empty(), "nobody was called");
        rig.server.mute = true;
        let findings = inspected(&mut rig);
        let found = of(&findings, "rights", "nobody can make");
        assert!(matches!(found[..], [(Verdict::Fail, _)]), "{found:?}");
        rig.server.refuses.insert("Originate", "Permission denied");
        let findings = inspected(&mut rig);
        assert!(matches!(of(&findings, "rights", "cannot be seen: no call")[..], [(Verdict::Skip, _)]));
    }
}

#[test]
fn an_inspection_knows_that_a_server_never_said_that_it_has_booted() {
    let mut rig = Rig::new(true);
    rig.server.mute = true;
    rig.start();
    rig.advance(std::time::Duration::from_secs(5));
    assert_eq!(rig.ready.len(), 1, "it is used all the same");
    let findings = inspected(&mut rig);
    assert!(matches!(of(&findings, "rights", "read = system")[..], [(Verdict::Warn, _)]));
    let mut rig = Rig::ready(true);
    assert_eq!(of(&inspected(&mut rig), "rights", "read = system"), []);
}

#[test]
fn an_inspection_tells_whether_recordings_can_be_fetched() {
    for (status, verdict) in [
        (200, Verdict::Ok),
        (500, Verdict::Ok),
        (401, Verdict::Fail),
        (403, Verdict::Fail),
        (404, Verdict::Fail),
    ] {
        let mut rig = Rig::ready(true);
        // the marker first, then the list
        rig.replies = [204, status].into();
        let findings = inspected(&mut rig);
        let found = of(&findings, "recording", "");
        assert!(matches!(found[..], [(told, _)] if told == verdict), "{status}: {found:?}");
    }
    let mut rig = Rig::ready(false);
    assert!(matches!(of(&inspected(&mut rig), "recording", "stay on the server")[..], [(Verdict::Warn, _)]));
}
