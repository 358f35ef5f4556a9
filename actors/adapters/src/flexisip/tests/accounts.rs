//! The account manager, as its routes answer (sheet, section 1).

use ifbus_call::order::Done;
use ifbus_call::{Finding, Order, Verdict};

use super::rig::{ALL, Rig};

fn inspected(rig: &mut Rig) -> Vec<Finding> {
    let ticket = rig.give(Order::Inspect);
    match &rig.answers[&ticket] {
        Ok(Done::Inspected(findings)) => findings.clone(),
        other => panic!("{other:?}"),
    }
}

fn verdict(findings: &[Finding], area: &str) -> (Verdict, String) {
    let found = findings.iter().find(|finding| finding.area == area);
    let found = found.unwrap_or_else(|| panic!("no {area} in {findings:?}"));
    (found.verdict, found.text.clone())
}

fn with_account() -> Rig {
    let more = [ALL, &[("sip_user", "ifbus"), ("sip_secret", "s"), ("domain", "lab.test")]].concat();
    let mut rig = Rig::ready(&more);
    rig.api.insert("/api/accounts?page=1", (200, r#"{"current_page":1,"data":[],"last_page":2,"total":31}"#));
    rig.api.insert(
        "/api/accounts/ifbus@lab.test/search",
        (200, r#"{"id":7,"username":"ifbus","activated":true,"blocked":false}"#),
    );
    rig.api.insert("/api/accounts/7/devices", (200, "{}"));
    rig.api.insert("/api/accounts/7/statistics/calls", (200, r#"{"data":[],"total":3}"#));
    rig
}

#[test]
fn accounts_devices_and_statistics_are_looked_at_with_the_key() {
    let mut rig = with_account();
    let findings = inspected(&mut rig);
    assert_eq!(verdict(&findings, "accounts"), (Verdict::Ok, "the API key sees 31 accounts".to_owned()));
    assert_eq!(verdict(&findings, "account").0, Verdict::Ok);
    assert!(verdict(&findings, "devices").1.starts_with("0 devices"));
    assert!(verdict(&findings, "statistics").1.starts_with("3 calls"));
    assert_eq!(verdict(&findings, "sip").0, Verdict::Ok);
    let header = rig.requests.last().unwrap().header.as_ref().unwrap();
    assert_eq!((header.0.as_str(), header.1.expose().len()), ("x-api-key", 40));
}

#[test]
fn a_redirection_is_a_refusal_and_a_wrong_host_is_not_found() {
    for (status, word) in [(302, "key"), (401, "key"), (403, "key"), (404, "404"), (500, "500")] {
        let mut rig = with_account();
        rig.api.insert("/api/accounts?page=1", (status, "<html>"));
        let findings = inspected(&mut rig);
        let (found, text) = verdict(&findings, "accounts");
        assert_eq!(found, Verdict::Fail);
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn an_account_that_cannot_call_is_said() {
    for (body, word) in [
        (r#"{"id":7,"activated":false,"blocked":false}"#, "activated"),
        (r#"{"id":7,"activated":true,"blocked":true}"#, "blocked"),
    ] {
        let mut rig = with_account();
        rig.api.insert("/api/accounts/ifbus@lab.test/search", (200, body));
        let findings = inspected(&mut rig);
        let (found, text) = verdict(&findings, "account");
        assert!(found == Verdict::Fail && text.contains(word), "{text}");
    }
    let mut rig = with_account();
    rig.api.insert("/api/accounts/ifbus@lab.test/search", (404, r#"{"message":"SIP address not found"}"#));
    assert_eq!(verdict(&inspected(&mut rig), "account").0, Verdict::Fail);
}

#[test]
fn a_token_is_shown_as_a_token_and_asks_for_no_accounts() {
    let mut rig = Rig::ready(&[("api", "127.0.0.1"), ("api_tls", "off"), ("secret", "aaa.bbb.ccc")]);
    let findings = inspected(&mut rig);
    assert_eq!(verdict(&findings, "accounts").0, Verdict::Skip);
    assert!(rig.requests.iter().all(|request| request.path == "/api/ping"));
}

#[test]
fn words_that_are_none_of_an_account_manager_are_said() {
    let mut rig = with_account();
    for path in ["/api/ping", "/api/accounts?page=1"] {
        rig.api.insert(path, (200, "<html>it works</html>"));
    }
    let findings = inspected(&mut rig);
    for area in ["api", "accounts"] {
        assert_eq!(
            verdict(&findings, area),
            (Verdict::Fail, "not the words of an account manager".to_owned())
        );
    }
}

#[test]
fn how_pushes_stand_is_said() {
    let mut rig = Rig::ready(ALL);
    assert_eq!(verdict(&inspected(&mut rig), "events").0, Verdict::Warn);
    rig.connect(1);
    rig.push(1, "POST", "/api/statistics/messages", "{}");
    assert_eq!(verdict(&inspected(&mut rig), "events").0, Verdict::Ok);
    rig.push_as(1, "other", "POST", "/api/statistics/messages", "{}");
    assert_eq!(verdict(&inspected(&mut rig), "events").0, Verdict::Fail);
}
