//! Settings: what is taken, what is refused, and in which words.

use std::collections::BTreeMap;

use crate::kamailio::options::{KEYS, Login, Options};
use crate::key::BadOptions;

fn given(pairs: &[(&str, &str)]) -> Result<Options, BadOptions> {
    let mut given = BTreeMap::from([("host".to_owned(), "127.0.0.1".to_owned())]);
    given.extend(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    Options::new(&given)
}

#[test]
fn a_host_is_enough_on_this_machine() {
    let options = given(&[]).expect("nothing is missing");
    assert_eq!((options.port, options.path.as_str(), options.events), (8080, "/rpc", Some(8448)));
    assert_eq!(options.login, Login::None);
    let sip = options.sip.expect("SIP is on");
    assert_eq!(
        (sip.host.as_str(), sip.port, sip.tcp, sip.domain.as_str()),
        ("127.0.0.1", 5060, false, "127.0.0.1")
    );
    assert!(sip.listen.ip().is_loopback());
}

#[test]
fn elsewhere_our_own_address_has_to_be_told() {
    assert_eq!(given(&[("host", "192.0.2.1")]), Err(BadOptions::Missing("sip_listen")));
    assert!(given(&[("host", "192.0.2.1"), ("sip", "off")]).is_ok());
    assert!(given(&[("host", "192.0.2.1"), ("sip_listen", "192.0.2.9:5070")]).is_ok());
}

#[test]
fn what_does_not_fit_is_refused() {
    for (pairs, bad) in [
        (&[("path", "rpc")][..], BadOptions::Text("path")),
        (&[("path", "/a?b")], BadOptions::Text("path")),
        (&[("user", "x")], BadOptions::Missing("secret")),
        (&[("header", "X-Token")], BadOptions::Missing("secret")),
        (&[("secret", "s"), ("header", "X Token")], BadOptions::Text("header")),
        (&[("secret", "s"), ("header", "X:")], BadOptions::Text("header")),
        (&[("secret", "s"), ("header", "X"), ("user", "u")], BadOptions::Text("header")),
        (&[("sip_transport", "sctp")], BadOptions::Text("sip_transport")),
        (&[("sip_listen", "somewhere")], BadOptions::Text("sip_listen")),
        (&[("sip_advertise", "host")], BadOptions::Text("sip_advertise")),
        (&[("sip_user", "u")], BadOptions::Missing("sip_secret")),
        (&[("domain", "a b")], BadOptions::Text("domain")),
        (&[("domain", "a/b")], BadOptions::Text("domain")),
        (&[("table", "a;b")], BadOptions::Name("table")),
        (&[("secret", "a\r\nb")], BadOptions::Text("secret")),
    ] {
        assert_eq!(given(pairs), Err(bad), "{pairs:?}");
    }
}

#[test]
fn every_key_is_explained_and_secrets_are_hidden() {
    for key in KEYS {
        assert!(!key.meaning.is_empty() && !key.reason.is_empty(), "{}", key.name);
        assert_eq!(key.secret, key.name.ends_with("secret"), "{}", key.name);
    }
    let options = given(&[("secret", "hush"), ("sip_user", "u"), ("sip_secret", "quiet")]).expect("sound");
    let shown = format!("{options:?}");
    assert!(!shown.contains("hush") && !shown.contains("quiet"), "{shown}");
}
