//! Settings: what is taken, and what is said of what is not.

use super::rig::{given, options};
use crate::flexisip::options::{Login, Options};
use crate::key::Tls;

fn refused(more: &[(&str, &str)]) -> String {
    Options::new(&given(more)).unwrap_err().to_string()
}

#[test]
fn a_host_is_enough_for_calls() {
    let options = options(&[]);
    assert_eq!((options.sip.host.as_str(), options.sip.port), ("127.0.0.1", 5060));
    assert!(options.events.is_none() && options.api.is_none());
}

#[test]
fn a_key_and_a_token_are_told_apart_by_their_form() {
    let login =
        |secret| options(&[("api", "sip.example.org"), ("secret", secret)]).api.unwrap().login.unwrap();
    assert!(matches!(login("0123456789012345678901234567890123456789"), Login::Key(_)));
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{}.c2lnbmF0dXJl", "x".repeat(2000));
    assert!(matches!(login(&token), Login::Token(_)));
    let api = options(&[("api", "sip.example.org")]).api.unwrap();
    assert_eq!((api.port, api.tls, api.login), (443, Tls::FirstUse, None));
}

#[test]
fn what_cannot_work_or_would_give_a_secret_away_is_refused() {
    let events = ("events", "10.0.0.1:8443");
    for (more, word) in [
        (&[("sip", "off")][..], "sip"),
        (&[("port", "0")], "port"),
        (&[events], "events_secret"),
        (&[events, ("events_secret", "s")], "events_cert"),
        (&[events, ("events_secret", "s"), ("events_cert", "/c.pem")], "events_key"),
        (&[("events", "8443"), ("events_secret", "s")], "events"),
        (&[("api", "a b")], "api"),
        (&[("api", "sip.example.org"), ("api_tls", "off"), ("secret", "s")], "tls"),
        (&[("api", "x"), ("secret", "a\nb")], "secret"),
        (&[("events", "127.0.0.1:1"), ("events_secret", "s"), ("events_from", "a b")], "events_from"),
    ] {
        let said = refused(more);
        assert!(said.contains(word), "{more:?}: {said}");
        assert!(!said.chars().any(char::is_control));
    }
}

#[test]
fn no_secret_is_shown() {
    let shown = format!(
        "{:?}",
        options(&[
            ("events", "127.0.0.1:1"),
            ("events_secret", "hidden1"),
            ("api", "x"),
            ("secret", "hidden2"),
            ("sip_user", "u"),
            ("sip_secret", "hidden3")
        ])
    );
    assert!(!shown.contains("hidden"), "{shown}");
}
