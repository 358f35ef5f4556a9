use crate::cli::client::{Base, query};

#[test]
fn only_this_machine_is_talked_to() {
    for good in ["http://127.0.0.1:7070", "http://localhost:7070/", "http://[::1]:7070", "http://127.0.0.9:1"]
    {
        assert_eq!(Base::parse(good).unwrap().to_string(), good.trim_end_matches('/'));
    }
    let bad = [
        "127.0.0.1:7070",
        "https://127.0.0.1:7070",
        "http://192.0.2.1:7070",
        "http://example.net:80",
        "http://127.0.0.1:0",
        "http://127.0.0.1:x",
        "http://user@127.0.0.1:1",
        "http://127.0.0.1:7070/path",
        "http://",
        "http://localhost.example.net:7070",
    ];
    for bad in bad {
        assert!(Base::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_query_cannot_be_broken_out_of() {
    let pairs =
        [("type", Some("call.*".to_owned())), ("server", None), ("cursor", Some("a b&c=d#é".to_owned()))];
    assert_eq!(query(&pairs), "?type=call.*&cursor=a%20b%26c%3Dd%23%C3%A9");
    assert_eq!(query(&[("x", None)]), "");
}
