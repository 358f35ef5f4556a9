use ifbus_call::Address;

use crate::cli::errors::Exit;
use crate::cli::words::{CallWord, MemberWord, Party, RecordingWord, Seconds, Words};

fn sort(words: &[&str]) -> Result<Words, crate::cli::errors::Failure> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Words::sort("call", &words, &["from", "to", "timeout", "leg"])
}

#[test]
fn a_name_and_pairs_come_in_any_order() {
    for words in [["pbx1", "from=1001", "to=1002"], ["from=1001", "to=1002", "pbx1"]] {
        let sorted = sort(&words).unwrap();
        assert_eq!(sorted.server.as_ref().unwrap().as_str(), "pbx1");
        assert_eq!(sorted.need::<Address>("call", "from").unwrap().as_str(), "1001");
    }
}

#[test]
fn a_value_may_hold_an_equals_sign_and_is_checked_by_its_own_form() {
    let failure = sort(&["from=10=01"]).unwrap().need::<Address>("call", "from").unwrap_err();
    assert_eq!(failure.to_string(), "error: from=10=01: an address cannot contain '='");
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest() {
    let failure = sort(&["form=1001"]).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    let text = "error: call takes no `form=`; nothing was done\n  did you mean from=?   call takes from=, to=, timeout=, leg=";
    assert_eq!(failure.to_string(), text);
}

#[test]
fn what_is_twice_empty_or_too_much_is_refused() {
    assert!(sort(&["from=1", "from=2"]).unwrap_err().to_string().contains("given twice"));
    assert!(sort(&["from="]).unwrap_err().to_string().contains("no value"));
    assert!(sort(&["pbx1", "pbx2"]).unwrap_err().to_string().contains("one name too many"));
    assert!(sort(&["p/x"]).unwrap_err().to_string().contains("a server name is"));
    assert!(sort(&[]).unwrap().need::<Address>("call", "to").unwrap_err().to_string().contains("needs to="));
}

#[test]
fn a_call_is_named_whole_or_by_its_last_characters() {
    assert_eq!("k5dq2m".parse::<CallWord>().unwrap().0, "K5DQ2M");
    let whole = "c_01KAQ4ZT8M3XHWE9P6S2K5DQ2M";
    assert_eq!(whole.parse::<CallWord>().unwrap().0, whole);
    for wrong in ["", "c_", "c_K5DQ2M", "../x", "K5DQ2M?", "c_01KAQ4ZT8M3XHWE9P6S2K5DQ2MX"] {
        assert!(wrong.parse::<CallWord>().is_err(), "{wrong}");
    }
}

#[test]
fn recordings_and_members_are_named_by_nothing_that_is_another_path() {
    assert_eq!("w3c8hn".parse::<RecordingWord>().unwrap().0, "W3C8HN");
    let whole = "rec_01KAQ4ZT8M3XHWE9P6S2K5DQ2M";
    assert_eq!(whole.parse::<RecordingWord>().unwrap().0, whole);
    for wrong in ["", "rec_", "rec_K5DQ2M", "../x", "a/b", "x?y", "rec_01KAQ4ZT8M3XHWE9P6S2K5DQ2M/file"] {
        assert!(wrong.parse::<RecordingWord>().is_err(), "{wrong}");
    }
    for right in ["K5DQ2M.a", "c_01KAQ4ZT8M3XHWE9P6S2K5DQ2M.b", "k5dq2m"] {
        assert_eq!(right.parse::<MemberWord>().unwrap().0, right);
    }
    for wrong in ["", ".", "..", "../x", "a/b", "a b", "x?y", "a%2fb", &"x".repeat(41)] {
        assert!(wrong.parse::<MemberWord>().is_err(), "{wrong}");
    }
}

#[test]
fn times_and_parties_have_limits() {
    assert_eq!("30s".parse::<Seconds>().unwrap(), Seconds(30.0));
    assert_eq!("1.5".parse::<Seconds>().unwrap(), Seconds(1.5));
    for wrong in ["0", "121", "-1", "NaN", "inf", "1m"] {
        assert!(wrong.parse::<Seconds>().is_err(), "{wrong}");
    }
    assert!("b".parse::<Party>().is_ok());
    assert!("d".parse::<Party>().is_err());
}
