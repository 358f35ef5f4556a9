//! What an operator may write, and what not.

use std::collections::BTreeMap;

use super::rig::options;
use crate::yate::options::Party;
use crate::yate::{KEYS, Options};

fn given(pairs: &[(&str, &str)]) -> Result<Options, String> {
    let given: BTreeMap<String, String> =
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&given).map_err(|bad| bad.to_string())
}

#[test]
fn defaults_are_those_of_the_table() {
    let options = given(&[("host", "h")]).unwrap();
    let default = |name: &str| KEYS.iter().find(|key| key.name == name).expect("a key").default;
    assert_eq!(options.port.to_string(), default("port"));
    assert_eq!((&*options.sounds, &*options.recordings), (default("sounds"), default("recordings")));
    assert_eq!(options.dial_extension.expect("a template").to_string(), default("dial_extension"));
    assert_eq!((options.files, options.sip), (None, Some(("h".to_owned(), 5060))));
}

#[test]
fn what_would_leave_its_place_is_refused() {
    for (key, value) in [
        ("sounds", "relative"),
        ("sounds", "/a/../b"),
        ("recordings", "/a b"),
        ("recordings", "/a:b"),
        ("fetch", "https://h/"),
        ("fetch", "http://"),
        ("fetch", "http://h/../x"),
        ("fetch", "http://h:0/"),
        ("fetch", "http://a:b:c/"),
        ("dial_extension", "wave/play/{n}"),
        ("dial_extension", "external/nodata/{n}"),
        ("dial_extension", "{n}"),
        ("dial_uri", "sip/{uri}:x y"),
        ("port", "0"),
        ("tls", "off"),
        ("sip", "x"),
    ] {
        assert!(given(&[("host", "h"), (key, value)]).is_err(), "{key}={value}");
    }
    assert!(given(&[]).is_err(), "a host is needed");
}

#[test]
fn a_folder_of_files_has_an_address() {
    for (url, host, port, path) in [
        ("http://h", "h", 80, ""),
        ("http://h:8088/rec/", "h", 8088, "/rec"),
        ("http://[2001:db8::1]:8/a", "2001:db8::1", 8, "/a"),
        ("http://[2001:db8::1]/a", "2001:db8::1", 80, "/a"),
    ] {
        let files = given(&[("host", "h"), ("fetch", url)]).unwrap().files.expect("it is one");
        assert_eq!((&*files.host, files.port, &*files.path), (host, port, path), "{url}");
    }
}

#[test]
fn templates_lead_to_routing_accounts_and_phones() {
    let party = |template: &str, address: &str| {
        let options = options(&[("dial_extension", template)]);
        Party::of(
            options.dial_extension.as_ref().expect("it was given"),
            &address.parse().expect("an address"),
        )
    };
    let routed = party("route/{n}", "1001").expect("short");
    assert_eq!((routed.direct, &*routed.called, routed.line), (None, "1001", None));
    let direct = party("sip/sip:{n}@10.0.0.1:5070", "1001").expect("short");
    assert_eq!((direct.direct.as_deref(), &*direct.called), (Some("sip/sip:1001@10.0.0.1:5070"), "1001"));
    let line = party("line/acme/{digits}", "+4930123").expect("short");
    assert_eq!((line.direct.as_deref(), line.line.as_deref()), (Some("line/4930123"), Some("acme")));
}
