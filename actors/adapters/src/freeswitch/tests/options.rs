use std::collections::BTreeMap;

use ifbus_call::Kind;

use super::rig::options;
use crate::freeswitch::options::{BadOptions, Fetch, Options};

fn given(more: &[(&str, &str)]) -> Result<Options, BadOptions> {
    let base = [("host", "192.0.2.1"), ("secret", "x")];
    let all: BTreeMap<String, String> =
        base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Options::new(&all)
}

#[test]
fn what_is_not_said_has_a_default() {
    let options = given(&[]).expect("host and secret are enough");
    assert_eq!((options.port, options.user, options.fetch), (8021, None, Fetch::Off));
    assert_eq!(options.sip, Some(("192.0.2.1".to_owned(), 5060)));
    assert_eq!(options.music, "local_stream://moh");
    assert_eq!(options.ring, "tone_stream://%(2000,4000,440,480);loops=-1");
    assert!(options.dial_extension.is_some() && options.dial_e164.is_none());
}

#[test]
fn a_setting_that_would_leave_its_place_is_refused() {
    let unknown = BadOptions::UnknownKey { kind: Kind::FreeSwitch, key: "ari_port".to_owned() };
    assert_eq!(given(&[("ari_port", "1")]), Err(unknown));
    assert_eq!(Options::new(&BTreeMap::new()), Err(BadOptions::Missing("host")));
    for secret in ["a b", "a\nb", "", "a\r\n\r\napi x"] {
        assert_eq!(given(&[("secret", secret)]), Err(BadOptions::Text("secret")), "{secret:?}");
    }
    for user in ["ifbus", "a@b@c", "a b@c", "@", ""] {
        let refused = given(&[("user", user)]);
        assert!(matches!(refused, Err(BadOptions::Name("user"))) || user == "@", "{user}: {refused:?}");
    }
    for music in
        ["moh", "say::x", "tone_stream://%(1,1,'a')", "local_stream://${x}", "/a b", "shell_stream://x"]
    {
        assert_eq!(given(&[("music", music)]), Err(BadOptions::Sound("music")), "{music}");
    }
    for folder in ["rec", "/a b", "/a;b", "/a$b", "/a'b", "/\u{e4}", ""] {
        assert_eq!(given(&[("recordings", folder)]), Err(BadOptions::Path("recordings")), "{folder}");
    }
    for fetch in
        ["on", "https://h/x", "http://", "http://h:0/x", "http://h/a b", "http://h/a?b", "http://h/a\nb"]
    {
        assert!(matches!(given(&[("fetch", fetch)]), Err(BadOptions::Fetch(_))), "{fetch}");
    }
    for template in ["loopback/{n}", "error/{n}", "PJSIP/{n}", "user/x", "sofia/{n},error/x", "user/${n}"] {
        assert!(
            matches!(given(&[("dial_extension", template)]), Err(BadOptions::Template { .. })),
            "{template}"
        );
    }
    assert_eq!(given(&[("conference", "a@b")]), Err(BadOptions::Name("conference")));
}

#[test]
fn where_files_come_from_is_taken_apart() {
    let fetch = |text: &str| given(&[("fetch", text)]).expect("a way to fetch").fetch;
    let http = |port, path: &str| Fetch::Http { host: "h".to_owned(), port, path: path.to_owned() };
    assert_eq!(fetch("http://h"), http(80, "/"));
    assert_eq!(fetch("http://h:8080/rec/x/"), http(8080, "/rec/x/"));
    assert_eq!(fetch("socket"), Fetch::Socket);
    assert_eq!(
        given(&[("recordings", "/var/rec/")]).expect("a path").recordings.as_deref(),
        Some("/var/rec")
    );
}

#[test]
fn a_secret_is_never_shown() {
    let shown = format!("{:?}", options(&[("secret", "hunter2")]));
    assert!(!shown.contains("hunter2"), "{shown}");
}
