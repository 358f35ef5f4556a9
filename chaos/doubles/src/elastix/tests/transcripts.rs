//! Every recorded exchange, asked again of the double: same status, same type, same body.

use std::time::Duration;

use super::{Got, Rig};
use crate::asterisk::{Contact, Endpoint};
use crate::double::{Extensions, Mortal};
use crate::elastix::Elastix;
use crate::phone::Plan;

/// One exchange.
struct Exchange {
    method: String,
    path: String,
    headers: Vec<String>,
    body: String,
    got: Got,
}

fn exchanges(text: &str) -> Vec<Exchange> {
    let mut found = Vec::new();
    let text = text.replace("\r\n", "\n");
    for part in text.split(">>> GET ").enumerate().flat_map(|(at, part)| verbs(part, at > 0)) {
        found.extend(exchange(&part));
    }
    found
}

/// The other methods stand between.
fn verbs(part: &str, is_get: bool) -> Vec<String> {
    let mut text = if is_get { format!("GET {part}") } else { part.to_owned() };
    for verb in ["POST", "PUT", "DELETE"] {
        text = text.replace(&format!(">>> {verb} "), &format!("\u{1}{verb} "));
    }
    text.split('\u{1}').map(str::to_owned).collect()
}

fn exchange(text: &str) -> Option<Exchange> {
    let (asked, answered) = text.split_once("\nHTTP/1.1 ")?;
    let mut lines = asked.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    let rest: Vec<&str> = lines.filter_map(|line| line.strip_prefix(">>>   ")).collect();
    let is_header = |line: &&&str| line.starts_with("Authorization") || line.starts_with("Content-Type");
    let headers = rest.iter().filter(is_header).map(|line| (*line).to_owned()).collect();
    let body = rest.iter().find(|line| !is_header(line)).map_or("", |line| line).to_owned();
    let (head, page) = answered.split_once("\n\n").unwrap_or((answered, ""));
    let kind = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default();
    let page = page.split("\n<<< took").next().unwrap_or_default().split("\n# ").next().unwrap_or_default();
    Some(Exchange {
        method: method.to_owned(),
        path: path.trim_start_matches("/pbxapi/").to_owned(),
        headers,
        body,
        got: Got {
            status: head.lines().next()?.to_owned(),
            kind: kind.to_owned(),
            body: page.trim_end().to_owned(),
        },
    })
}

/// Tokens are random.
fn masked(body: &str) -> String {
    let mut parts = body.split("\"eyJ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once('"').map_or("", |(_, rest)| rest);
        text.push_str(&format!("\"eyJ...\"{rest}"));
    }
    text.trim_end().to_owned()
}

fn replay(rig: &mut Rig, exchange: &Exchange, path: &str) {
    let old = "eyJ0eXAiOiAi...";
    let headers: Vec<String> = exchange
        .headers
        .iter()
        .map(|line| {
            let token = if line.contains(old) { "old" } else { rig.token.as_str() };
            let is_ours = line.contains("eyJ0");
            if is_ours { format!("Authorization: Bearer {token}") } else { line.clone() }
        })
        .collect();
    let path = path.replace("eyJ0eXAiOiJK...", &rig.token.clone()).replace(old, "old");
    let got = rig.ask(&exchange.method, &path, &headers.join("\r\n"), &exchange.body);
    let told = Got { body: masked(&got.body), ..got };
    let recorded = Got { body: masked(&exchange.got.body), ..exchange.got.clone() };
    assert_eq!(told, recorded, "{} {path}", exchange.method);
}

#[test]
fn logins_and_tokens_are_answered_as_recorded() {
    let all = exchanges(include_str!("../data/auth.txt"));
    assert_eq!(all.len(), 12);
    let (options, mut web) = Elastix::issabel(7);
    web.extensions.clear();
    let mut rig = Rig::of(Elastix::new(options, web, Duration::ZERO));
    rig.machine.web().tokens.insert("old".to_owned(), Duration::ZERO);
    for exchange in &all {
        replay(&mut rig, exchange, &exchange.path);
    }
}

#[test]
fn telephones_are_made_and_listed_as_recorded() {
    let all = exchanges(include_str!("../data/extensions.txt"));
    let (options, mut web) = Elastix::issabel(7);
    web.extensions.clear();
    let mut rig = Rig::of(Elastix::new(options, web, Duration::ZERO));
    for exchange in &all {
        replay(&mut rig, exchange, &exchange.path);
    }
}

#[test]
fn a_call_that_fails_is_answered_as_recorded() {
    let all = exchanges(include_str!("../data/originate.txt"));
    assert_eq!(all.len(), 11);
    let (mut options, web) = Elastix::issabel(7);
    let context = "from-internal".to_owned();
    options
        .endpoints
        .insert("1004".to_owned(), Endpoint { contact: Contact::Unregistered, context, named: true });
    let mut rig = Rig::of(Elastix::new(options, web, Duration::ZERO));
    rig.machine.plan("1000", Plan::answers(Duration::from_secs(1)));
    rig.machine.plan("1001", Plan::answers(Duration::from_secs(1)));
    rig.machine.plan("1002", Plan::refuses(486));
    rig.machine.plan("1003", Plan::rings());
    rig.machine.plan("1005", Plan::refuses(603));
    for exchange in &all {
        // the telephones of the laboratory have four digits
        let path = exchange
            .path
            .replace("SIP/20", "SIP/100")
            .replace("=201", "=1001")
            .replace("SIP/1000", "SIP/1001");
        replay(&mut rig, exchange, &path);
    }
}

#[test]
fn an_asterisk_that_is_down_and_a_database_that_is_gone_are_told_as_recorded() {
    let text = include_str!("../data/failures.txt");
    let (asterisk, database) = text.split_once("# database stopped").expect("two parts");
    let mut rig = Rig::new();
    rig.machine.kill(rig.now);
    for exchange in exchanges(asterisk).iter().filter(|exchange| exchange.path.starts_with("manager")) {
        replay(&mut rig, exchange, &exchange.path);
    }
    rig.machine.web().faults.database = true;
    for exchange in &exchanges(database) {
        replay(&mut rig, exchange, &exchange.path);
    }
}

#[test]
fn the_commands_of_manager_are_those_recorded() {
    let all = exchanges(include_str!("../data/manager.txt"));
    let mut rig = Rig::new();
    for exchange in &all {
        let stateless = exchange.path == "manager" || exchange.path.contains("nope");
        if stateless {
            replay(&mut rig, exchange, &exchange.path);
        }
    }
}
