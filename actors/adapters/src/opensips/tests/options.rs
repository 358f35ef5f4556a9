//! What settings are taken, and what is said of those that are not.

use std::collections::BTreeMap;

use crate::opensips::options::Mi;
use crate::opensips::{KEYS, Options};

fn checked(pairs: &[(&str, &str)]) -> Result<Options, String> {
    let given: BTreeMap<String, String> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&given).map_err(|bad| bad.to_string())
}

#[test]
fn a_host_on_this_machine_is_enough() {
    let options = checked(&[("host", "127.0.0.1")]).expect("it is enough");
    assert_eq!((options.port, options.events, options.drain.as_str()), (8888, None, "ifbus_drain"));
    assert!(matches!(&options.mi, Mi::Http { path, basic: None, .. } if path == "/mi"));
    assert_eq!(options.sip.expect("calls are wanted").port, 5060);
    let options = checked(&[("host", "127.0.0.1"), ("mi", "udp")]).expect("it is enough");
    assert_eq!((options.port, options.mi), (8889, Mi::Udp));
}

#[test]
fn what_cannot_work_is_refused_with_its_reason() {
    let off = ("sip", "off");
    let far = ("host", "h");
    let here = ("host", "127.0.0.1");
    for (pairs, part) in [
        (vec![], "`host` is missing"),
        (vec![("host", "192.0.2.1")], "`sip_listen` is missing"),
        (vec![("host", "h;x"), off], "`host`"),
        (vec![far, off, ("mi", "fifo")], "`mi`"),
        (vec![far, off, ("mi", "udp"), ("secret", "s")], "secret (with mi=udp)"),
        (vec![far, off, ("secret", "s")], "`user` is missing"),
        (vec![far, off, ("user", "u")], "`secret` is missing"),
        (vec![far, off, ("path", "mi")], "`path`"),
        (vec![far, off, ("path", "/m i")], "`path`"),
        (vec![far, off, ("events", "0.0.0.0:9000")], "`events`"),
        (vec![far, off, ("events", "127.0.0.1:0")], "`events`"),
        (vec![far, off, ("events", "here:9000")], "`events`"),
        (vec![far, off, ("drain", "a;b")], "`drain`"),
        (vec![far, ("sip_listen", "nowhere")], "`sip_listen`"),
        (vec![here, ("sip_transport", "sctp")], "`sip_transport`"),
        (vec![here, ("sip_user", "u")], "`sip_secret` is missing"),
        (vec![here, ("sip_advertise", "here")], "`sip_advertise`"),
        (vec![here, ("domain", "a b")], "`domain`"),
        (vec![far, off, ("ari_port", "1")], "opensips has no setting `ari_port`"),
    ] {
        let why = checked(&pairs).expect_err(part);
        assert!(why.contains(part), "{why} says nothing of {part}");
    }
}

#[test]
fn no_secret_is_shown() {
    let pairs = [
        ("host", "127.0.0.1"),
        ("user", "u"),
        ("secret", "hush1"),
        ("sip_user", "s"),
        ("sip_secret", "hush2"),
    ];
    let options = checked(&pairs).expect("sound");
    assert!(!format!("{options:?}").contains("hush"));
}

#[test]
fn clear_text_is_known_for_what_it_is() {
    let open = |pairs: &[(&str, &str)]| {
        checked(&[&[("sip", "off")], pairs].concat()).expect("sound").is_in_the_open()
    };
    assert!(!open(&[("host", "localhost")]));
    assert!(open(&[("host", "192.0.2.1")]));
    assert!(open(&[("host", "192.0.2.1"), ("mi", "udp")]));
    assert!(!open(&[("host", "192.0.2.1"), ("tls", "pin")]));
}

#[test]
fn every_key_says_what_it_is_and_why() {
    for key in KEYS {
        assert!(!key.meaning.is_empty() && !key.reason.is_empty(), "{}", key.name);
    }
}
