//! Framing and login, byte by byte as recorded.

use super::lab::{Lab, PASSWORD, events};
use crate::freeswitch::Options;

const AUTH: &str = include_str!("../data/auth.txt");

/// What client and server said in a section, in turns.
fn turns(section: &str) -> Vec<(bool, String)> {
    let mut turns: Vec<(bool, String)> = vec![];
    for line in section.lines().skip(1).filter(|line| !line.starts_with("---")) {
        match line {
            "<<< server" => turns.push((true, String::new())),
            ">>> client" => turns.push((false, String::new())),
            line => {
                if let Some((_, text)) = turns.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    turns
}

#[test]
fn a_login_is_as_it_was_recorded() {
    for section in AUTH.split("## ").skip(1) {
        let mut lab = Lab::new(Options::default());
        let link = lab.open();
        for (server, text) in turns(section) {
            if server {
                let said = lab.text(link);
                let figures = text.contains("UP 0 years");
                let same = said.trim_end() == text.trim_end();
                assert!(
                    same || (figures && said.starts_with("Content-Type: api/response\nContent-Length: ")),
                    "{said:?} is not {text:?}"
                );
            } else {
                let text = text.replace("labsecret", PASSWORD);
                lab.send(link, &format!("{}\n\n", text.trim_end()));
            }
        }
    }
}

#[test]
fn who_is_not_in_the_access_list_is_sent_away() {
    let mut lab = Lab::new(Options { refused: true, ..Options::default() });
    let link = lab.open();
    assert!(lab.text(link).starts_with(
        "Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n\
         Content-Type: text/disconnect-notice\n"
    ));
    assert_eq!(lab.closed, [link]);
}

#[test]
fn a_user_may_do_what_is_written_beside_it() {
    let mut lab = Lab::new(Options::default());
    let link = lab.open();
    lab.send(link, "userauth ops@lab:ops-secret\n\n");
    assert!(lab.text(link).contains("Allowed-API: status show originate uuid_kill bgapi\n"));
    lab.send(link, "api version\n\n");
    assert_eq!(lab.text(link), "Content-Type: command/reply\nReply-Text: -ERR permission denied\n\n");
    lab.send(link, "event json CHANNEL_CREATE\n\n");
    assert!(lab.text(link).contains("-ERR permission denied"));
    lab.send(link, "event plain HEARTBEAT\n\n");
    assert!(lab.text(link).contains("+OK event listener enabled plain"));
}

#[test]
fn a_blank_line_in_a_value_begins_another_command() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login();
    lab.send(link, "api echo a\n\napi echo INJECTED\n\n");
    let said = lab.text(link);
    assert_eq!(said.matches("api/response").count(), 2);
    assert!(said.ends_with("INJECTED"));
}

#[test]
fn an_api_that_takes_its_time_holds_up_the_events_of_its_connection() {
    let mut lab = Lab::new(Options::default());
    let (busy, other) = (lab.listener(), lab.listener());
    lab.send(busy, "api msleep 1500\n\n");
    lab.send(other, "bgapi echo x\nJob-UUID: j\n\n");
    lab.pass(100);
    assert_eq!((events(&lab.text(busy)).len(), events(&lab.text(other)).len()), (0, 1));
    lab.pass(1500);
    assert_eq!(events(&lab.text(busy)).len(), 1);
}

#[test]
fn plain_events_have_escapes_and_a_length_of_their_own() {
    let mut lab = Lab::new(Options::default());
    let link = lab.login();
    lab.send(link, "event plain BACKGROUND_JOB\n\n");
    lab.text(link);
    lab.send(link, "bgapi echo hello world\nJob-UUID: j\n\n");
    lab.pass(10);
    let said = lab.text(link);
    assert!(
        said.starts_with("Content-Type: command/reply\nReply-Text: +OK Job-UUID: j\nJob-UUID: j\n\n"),
        "{said}"
    );
    assert!(said.ends_with("Content-Length: 11\n\nhello world"), "{said}");
}
