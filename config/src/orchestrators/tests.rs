//! Names, references, mistakes.

use super::{BadOrchestrators, load};

fn read(text: &str) -> Result<Vec<String>, String> {
    let path = std::env::temp_dir().join(format!("ifbus-on-{}-{}", std::process::id(), text.len()));
    std::fs::write(&path, text).unwrap();
    let found = load(&path);
    std::fs::remove_file(&path).unwrap();
    found.map(|named| named.into_keys().collect()).map_err(|error: BadOrchestrators| error.to_string())
}

#[test]
fn orchestrators_have_names_and_tokens_by_reference() {
    let text =
        "[lab]\nurl = \"http://127.0.0.1:7071\"\ntoken = \"env:LAB\"\n[prod]\nurl = \"http://127.0.0.1:1\"\n";
    assert_eq!(read(text), Ok(vec!["lab".to_owned(), "prod".to_owned()]));
    assert_eq!(load("/nowhere/at/all".as_ref()).unwrap().len(), 0);
}

#[test]
fn a_mistake_is_told_and_a_token_never_repeated() {
    let literal = read("[lab]\nurl = \"x\"\ntoken = \"hunter2-canary\"\n").unwrap_err();
    assert!(literal.contains("lab.token is written env:NAME") && !literal.contains("hunter2"), "{literal}");
    assert!(
        read("[lab]\nurl = \"x\"\ntokn = \"hunter2-canary\"\n").is_err_and(|why| !why.contains("hunter2"))
    );
    assert!(read("lab = 1").is_err());
}
