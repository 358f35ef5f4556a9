use ifbus_call::Kind;

use crate::cli::auth::{Auth, KEYS, Source};

fn split(texts: &[&str]) -> Auth {
    Auth::split(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn refused(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    Auth::split(&texts).unwrap_err().to_string()
}

fn literal(text: &str) -> Source {
    Source::Literal(text.to_owned())
}

#[test]
fn a_pair_is_split_at_its_first_equals_sign() {
    assert_eq!(split(&["secret=a=b=="]).0["secret"], literal("a=b=="));
}

#[test]
fn a_comma_separates_only_before_a_known_key() {
    let auth = split(&["user=ifbus,secret=a,b,foo=c,=,"]);
    assert_eq!(auth.0["user"], literal("ifbus"));
    assert_eq!(auth.0["secret"], literal("a,b,foo=c,=,"));
    assert_eq!(auth.0.len(), 2);
}

#[test]
fn a_blank_separates_like_a_comma() {
    let auth = split(&["user=ifbus  secret=two words, apikey=x"]);
    assert_eq!(auth.0["user"], literal("ifbus"));
    assert_eq!(auth.0["secret"], literal("two words"));
    assert_eq!(auth.0["apikey"], literal("x"));
}

#[test]
fn a_password_keeps_its_own_last_comma() {
    assert_eq!(split(&["secret=abc,,user=x"]).0["secret"], literal("abc,"));
}

#[test]
fn several_flags_add_up() {
    let auth = split(&["user=ifbus", "secret=env:PBX1_SECRET"]);
    assert_eq!(auth.0["secret"], Source::Env("PBX1_SECRET".to_owned()));
    assert_eq!(auth.0.len(), 2);
}

#[test]
fn every_source_is_known_by_its_form() {
    let auth = split(&["user=prompt,secret=file:/run/s,apikey=-,token=env:T,realm=x"]);
    assert_eq!(auth.0["user"], Source::Prompt);
    assert_eq!(auth.0["secret"], Source::File("/run/s".into()));
    assert_eq!(auth.0["apikey"], Source::Stdin);
    assert_eq!(auth.0["token"], Source::Env("T".to_owned()));
}

#[test]
fn only_secrets_that_stand_in_the_command_are_warned_of() {
    assert_eq!(split(&["user=ifbus,secret=x,ari_secret=prompt,apikey=y"]).exposed(), ["apikey", "secret"]);
    assert!(split(&["user=ifbus,secret=env:S"]).exposed().is_empty());
}

#[test]
fn point_8_no_form_of_an_error_or_debug_text_holds_a_secret() {
    let canary = "hunter2-canary";
    let texts = [
        refused(&[&format!("secret={canary}"), &format!("secret={canary}")]),
        refused(&[canary]),
        refused(&[&format!("Se cret={canary}")]),
        format!("{:?}", split(&[&format!("user=ifbus,secret={canary}")])),
    ];
    for text in texts {
        assert!(!text.contains(canary), "{text}");
    }
}

#[test]
fn what_has_no_key_or_no_value_is_refused() {
    assert!(refused(&["ifbus"]).contains("key=value"));
    assert!(refused(&["=x"]).contains("key=value"));
    assert!(refused(&["secret="]).contains("secret= has no value"));
    assert!(refused(&["user=-,secret=-"]).contains("one secret only"));
}

#[test]
fn a_file_gives_its_content_without_the_line_end() {
    let path = std::env::temp_dir().join(format!("ifbus-auth-{}", std::process::id()));
    std::fs::write(&path, "s3cret\n").unwrap();
    let resolved = split(&[&format!("secret=file:{}", path.display())]).resolve("pbx1").unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(resolved["secret"].expose(), "s3cret");
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let failure = split(&["secret=env:IFBUS_TEST_NOT_SET"]).resolve("pbx1").unwrap_err();
    assert_eq!(failure.to_string(), "error: secret of pbx1: the variable IFBUS_TEST_NOT_SET is not set");
}

#[test]
fn every_secret_of_every_kind_may_follow_a_comma() {
    for key in Kind::ALL.into_iter().flat_map(ifbus_adapters::settings::keys).filter(|key| key.secret) {
        assert!(KEYS.contains(&key.name), "{}", key.name);
    }
}
