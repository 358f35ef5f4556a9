//! What an operator may tell, and what is refused with which words.

use std::collections::BTreeMap;

use crate::asterisk::options::TECHNOLOGIES;
use crate::asterisk::options::{BadOptions, KEYS, Options, Tls};
use crate::template::{BadTemplate, CHANNEL_MAX, Template};

fn given(more: &[(&str, &str)]) -> Result<Options, BadOptions> {
    let all: BTreeMap<String, String> = [("host", "pbx"), ("secret", "s3cret")]
        .iter()
        .chain(more)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Options::new(&all)
}

#[test]
fn host_and_secret_are_enough() {
    let options = given(&[]).expect("they are enough");
    assert_eq!((options.port, options.user.as_str(), options.context.as_str()), (5038, "ifbus", "ifbus"));
    let ari = options.ari.expect("ARI is on by default");
    assert_eq!((ari.port, ari.user.as_str(), ari.secret.expose()), (8088, "ifbus", "s3cret"));
    assert_eq!(options.sip, Some(("pbx".to_owned(), 5060)));
    assert_eq!(options.dial_extension.expect("it has a default").to_string(), "PJSIP/{n}");
    assert_eq!((options.dial_e164, options.dial_uri), (None, None));
}

#[test]
fn every_key_of_the_table_is_taken_and_no_other() {
    for key in KEYS {
        let value = match key.name {
            "sip" | "tls" => "off",
            name if name.ends_with("port") => "99",
            name if name.starts_with("dial") => "PJSIP/{n}@trunk",
            _ => "value",
        };
        assert!(given(&[(key.name, value)]).is_ok(), "{}", key.name);
        assert!(!key.meaning.is_empty() && !key.reason.is_empty(), "{}", key.name);
    }
    let unknown = BadOptions::UnknownKey { kind: ifbus_call::Kind::Asterisk, key: "tsl".to_owned() };
    assert_eq!(given(&[("tsl", "pin")]), Err(unknown));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    assert_eq!(Options::new(&BTreeMap::new()), Err(BadOptions::Missing("host")));
    assert_eq!(given(&[("secret", "two\r\nlines")]), Err(BadOptions::Text("secret")));
    for context in ["", "a b", "ifbus,1", "${X}", "a\u{202e}b", &"x".repeat(81)] {
        assert_eq!(given(&[("context", context)]), Err(BadOptions::Name("context")), "{context}");
    }
    let port = BadOptions::Port { key: "port", least: 1, given: "0".to_owned() };
    assert_eq!(given(&[("port", "0")]), Err(port));
    assert_eq!(given(&[("ari_port", "0")]).expect("it means AMI alone").ari, None);
    for sip in ["5060", "host:", "host:0", ":5060", "ho st:5060", "h\r\n:5060"] {
        assert!(matches!(given(&[("sip", sip)]), Err(BadOptions::Sip(_))), "{sip:?}");
    }
    assert_eq!(
        given(&[("sip", "[2001:db8::1]:5070")]).expect("an address").sip,
        Some(("2001:db8::1".into(), 5070))
    );
}

#[test]
fn tls_says_what_is_trusted_and_moves_the_ports() {
    let digits = "ab".repeat(32);
    let colons = vec!["AB"; 32].join(":");
    let pinned = Tls::Pinned(digits.parse().expect("64 digits"));
    for (text, tls) in [
        ("off", Tls::Off),
        ("pin", Tls::FirstUse),
        (&*format!("pin:{digits}"), pinned.clone()),
        (&*format!("pin:{colons}"), pinned),
        ("ca:/etc/ifbus/ca.pem", Tls::Authority("/etc/ifbus/ca.pem".to_owned())),
    ] {
        let options = given(&[("tls", text)]).expect(text);
        let ports = if text == "off" { (5038, 8088) } else { (5039, 8089) };
        assert_eq!((options.port, options.ari.expect("it is on").port), ports, "{text}");
        assert_eq!(options.tls, tls, "{text}");
    }
    let both = given(&[("tls", "pin"), ("port", "5999"), ("ari_port", "0")]).expect("sound");
    assert_eq!((both.port, both.ari), (5999, None));
    let long = format!("pin:{}", "a".repeat(65));
    for text in [
        "",
        "on",
        "PIN",
        "pin:",
        "pin:abc",
        &long,
        "pin:é",
        "ca:",
        "ca:ca.pem",
        "ca:/a\nb",
        "off:",
        "pin:\r\n",
    ] {
        let refused = given(&[("tls", text)]).expect_err(text);
        assert!(matches!(refused, BadOptions::Tls { .. }), "{text:?}");
        assert!(!refused.to_string().chars().any(char::is_control), "{text:?}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let shown = format!("{:?}", given(&[("ari_secret", "hidden")]).expect("sound"));
    assert!(!shown.contains("s3cret") && !shown.contains("hidden"), "{shown}");
}

#[test]
fn a_template_reaches_phones_and_nothing_else() {
    let bad = |text: &str| Template::new(text, &TECHNOLOGIES).expect_err(text);
    for text in ["Local/{n}@ifbus", "AsyncGoto/{n}", "{n}", "PJSIP", "pjsip/{n}", "", "/{n}"] {
        assert_eq!(bad(text), BadTemplate::Technology(&TECHNOLOGIES), "{text}");
    }
    for text in ["PJSIP/1001", "PJSIP/{n}{n}", "PJSIP/{n}{uri}", "PJSIP/{x}"] {
        assert_eq!(bad(text), BadTemplate::Place, "{text}");
    }
    for (text, wrong) in
        [("PJSIP/{n}&SIP/x", '&'), ("PJSIP/{n},30", ','), ("PJSIP/{n} x", ' '), ("PJSIP/\r{n}", '\r')]
    {
        assert_eq!(bad(text), BadTemplate::Character(wrong), "{text}");
    }
}

#[test]
fn a_channel_is_the_address_in_its_place() {
    let channel = |template: &str, address: &str| {
        let template = Template::new(template, &TECHNOLOGIES).expect("a template");
        template.channel(&address.parse().expect("an address"))
    };
    assert_eq!(channel("PJSIP/{n}@trunk", "+4930123").as_deref(), Some("PJSIP/+4930123@trunk"));
    assert_eq!(channel("PJSIP/{digits}@trunk", "+4930123").as_deref(), Some("PJSIP/4930123@trunk"));
    assert_eq!(channel("PJSIP/trunk/{uri}", "sip:a@h:5070").as_deref(), Some("PJSIP/trunk/sip:a@h:5070"));
    let long = "x".repeat(200);
    let template = format!("PJSIP/{{n}}@{}", "t".repeat(CHANNEL_MAX - 200));
    assert_eq!(channel(&template, &long), None);
}

#[test]
fn a_secret_that_is_given_as_a_setting_is_refused_because_settings_are_kept_in_the_open() {
    use crate::settings::{BadSetting, Settings, check};
    for key in ["secret", "ari_secret"] {
        let mut settings = Settings { host: "pbx".to_owned(), ..Settings::default() };
        settings.auth.insert("secret".to_owned(), crate::adapter::Secret::new("s3cret"));
        settings.set.insert(key.to_owned(), "canary".to_owned());
        let refused = check(
            ifbus_call::Kind::Asterisk,
            &settings,
            super::rig::INSTANCE,
            &"pbx".parse().expect("a name"),
            None,
        );
        let Err(BadSetting { key: named, why }) = refused else { panic!("{key} was taken") };
        assert_eq!(named, format!("set.{key}"));
        assert!(!why.contains("canary"));
    }
}
