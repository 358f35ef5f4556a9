//! Settings: what is taken, and what is told of what is not.

use std::collections::BTreeMap;

use ifbus_call::Kind;

use super::rig::options;
use crate::asterisk::Ids;
use crate::elastix::{KEYS, Options};
use crate::key::{BadOptions, Tls};

fn given(more: &[(&str, &str)]) -> Result<Options, BadOptions> {
    let all = [("host", "pbx.example"), ("secret", "s")].iter().chain(more);
    let given: BTreeMap<String, String> =
        all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&given)
}

#[test]
fn the_defaults_are_those_of_an_installed_server() {
    let options = given(&[]).expect("they are enough");
    assert_eq!((options.inside.port, options.inside.ari.clone()), (5038, None));
    assert_eq!(options.inside.dialect.ids, Ids::Digits);
    assert_eq!(options.web, Some((443, Tls::FirstUse)));
    assert_eq!(options.api, None, "without its password pbxapi is not used");
    let files = options.inside.files.expect("recordings are fetched");
    assert_eq!(
        (files.path.as_str(), files.user.as_str(), files.secret.expose()),
        ("/ifbus-recordings/", "ifbus", "s")
    );
    let sip = options.inside.dial_extension.expect("a template").to_string();
    assert_eq!(sip, "SIP/{n}");
}

#[test]
fn without_a_web_server_nothing_is_asked_of_it() {
    let options = given(&[("web_port", "0"), ("api_secret", "x")]).expect("that is enough");
    assert_eq!((options.web, options.api, options.inside.files), (None, None, None));
    assert_eq!(given(&[("recordings", "off")]).expect("that is enough").inside.files, None);
}

#[test]
fn a_setting_that_is_not_taken_is_named() {
    assert_eq!(
        given(&[("ari_port", "8088")]),
        Err(BadOptions::UnknownKey { kind: Kind::Elastix, key: "ari_port".to_owned() })
    );
    for folder in ["ifbus/", "/ifbus", "/a b/", "/../", "/x?y/", "/%2e/"] {
        let refused = given(&[("recordings", folder)]).expect_err(folder).to_string();
        assert!(refused.contains("recordings"), "{refused}");
    }
    let refused = given(&[("web_tls", "yes")]).expect_err("no way to trust").to_string();
    assert!(refused.starts_with("`web_tls`"), "{refused}");
    assert!(given(&[("api_secret", "a b\r\n")]).is_err());
}

#[test]
fn a_secret_is_in_no_debug_output() {
    let shown = format!("{:?}", options(&[("recordings_secret", "web-secret")]));
    assert!(!shown.contains("-secret"), "{shown}");
    for key in ["secret", "api_secret", "recordings_secret"] {
        assert!(KEYS.iter().any(|known| known.name == key && known.secret));
    }
}
