use crate::cli::completion::{Offer, wanted};

fn words(line: &str) -> Vec<String> {
    let word = |offer| match offer {
        Offer::Word(word) => word,
        Offer::Servers(before) => format!("{before}<server>"),
        Offer::Calls(before) => format!("{before}<call>"),
    };
    wanted(line).offers.into_iter().map(word).collect()
}

#[test]
fn what_comes_next_follows_the_grammar() {
    assert!(words("ifbus ").contains(&"transfer".to_owned()));
    assert!(!words("ifbus ").iter().any(|word| word.starts_with('_')), "what is hidden is not offered");
    assert_eq!(words("ifbus call "), ["sip"]);
    assert_eq!(words("ifbus call sip "), ["from=", "to=", "caller_id=", "timeout=", "<server>"]);
    assert_eq!(words("ifbus call sip pbx1 from=1001 "), ["to=", "caller_id=", "timeout="]);
    assert_eq!(words("ifbus bus hold sip "), ["call_id=", "leg=", "call_id=<call>", "<server>"]);
    assert_eq!(words("ifbus show call "), ["<call>"]);
    assert_eq!(words("ifbus calls --server "), ["<server>"]);
    assert_eq!(words("ifbus add sip pbx1 "), ["asterisk", "auto"]);
    assert!(words("ifbus hangup sip --").contains(&"--dry-run".to_owned()));
    assert!(words("ifbus config ").contains(&"check".to_owned()));
    assert_eq!(words("ifbus list sip "), [""; 0]);
    assert_eq!(words("ifbus add sip pbx1 asterisk --auth "), [""; 0], "a secret is never offered");
}

#[test]
fn no_line_is_too_strange() {
    for line in
        ["", " ", "ifbus", "--", "ifbus -", "ifbus nonsense x", "ifbus call sip \u{1b}[2J", "ifbus = = ="]
    {
        let _ = words(line);
    }
}
