#![allow(clippy::unwrap_used)]

use std::path::Path;

use ifbus_config::{Config, Secret, parse};

use super::*;

const CANARY: &str = "hunter2-canary-long-enough";

fn config(text: &str) -> Config {
    parse(text, "fleet.toml").unwrap()
}

fn env(name: &str) -> Option<String> {
    match name {
        "PBX1_SECRET" | "TOKEN" => Some(CANARY.to_owned()),
        "SHORT" => Some("short".to_owned()),
        "BLANK" => Some("long enough but blank".to_owned()),
        _ => None,
    }
}

#[test]
fn the_first_example_becomes_a_server_with_its_secret_and_the_defaults() {
    let config = config(include_str!("../../../config/examples/one-server.toml"));
    let [spec] = &servers(&config, Path::new(""), &env).unwrap()[..] else { panic!("one server") };
    assert_eq!((spec.name.as_str(), spec.kind.as_str(), spec.origin), ("pbx1", "asterisk", Origin::Config));
    assert_eq!(spec.settings.auth["secret"].expose(), CANARY);
    assert_eq!(spec.settings.auth["user"].expose(), "ifbus");
    assert_eq!((spec.capacity, spec.cps), (ServerSpec::CAPACITY, ServerSpec::CPS));
    assert!(!format!("{spec:?}").contains(CANARY));
}

#[test]
fn what_a_server_is_told_is_handed_on() {
    let text = "[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nport = 1\ncapacity = 2\ncps = 0.5\nset = { ari_port = 8088 }\ntags = { site = \"n\" }";
    let spec = servers(&config(text), Path::new(""), &env).unwrap().remove(0);
    assert_eq!((spec.settings.host.as_str(), spec.settings.port), ("h", Some(1)));
    assert_eq!((spec.settings.set["ari_port"].as_str(), spec.tags["site"].as_str()), ("8088", "n"));
    assert_eq!((spec.capacity, spec.cps), (2, 0.5));
}

#[test]
fn a_secret_that_is_not_there_is_named_by_its_key() {
    let text = "[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nauth = { secret = \"env:UNSET\" }";
    let error = servers(&config(text), Path::new(""), &env).unwrap_err();
    assert_eq!(error.to_string(), "servers.a.auth.secret: the environment variable UNSET is not set");
}

#[test]
fn tokens_are_our_own_and_those_of_the_file_unless_they_could_be_guessed() {
    let of = |name: &str| {
        let text = format!("[tokens.t]\nsecret = \"env:{name}\"\nscopes = [\"metrics\"]");
        tokens(Secret::new("own"), &config(&text), Path::new(""), &env)
    };
    let found = of("TOKEN").unwrap();
    assert_eq!(found.len(), 2);
    assert!(!format!("{found:?}").contains(CANARY));
    for weak in ["SHORT", "BLANK"] {
        assert_eq!(of(weak).unwrap_err(), NoSecret::Weak { key: "tokens.t.secret".to_owned() }, "{weak}");
    }
}

#[test]
fn a_file_of_authorities_is_found_beside_the_configuration() {
    for (written, found) in
        [("ca:tls/ca.pem", "ca:/etc/ifbus/tls/ca.pem"), ("ca:/ca.pem", "ca:/ca.pem"), ("pin", "pin")]
    {
        let text = format!("[servers.a]\nkind = \"asterisk\"\nhost = \"h\"\nset = {{ tls = \"{written}\" }}");
        let spec = servers(&config(&text), Path::new("/etc/ifbus"), &env).unwrap().remove(0);
        assert_eq!(spec.settings.set["tls"], found);
    }
}
