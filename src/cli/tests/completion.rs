use crate::cli::completion::{Offer, wanted};

fn words(line: &str) -> Vec<String> {
    let word = |offer| match offer {
        Offer::Word(word) => word,
        Offer::Servers(before) => format!("{before}<server>"),
        Offer::Calls(before) => format!("{before}<call>"),
        Offer::Conferences => "<conference>".to_owned(),
        Offer::Members { before, conference } => format!("{before}<member of {conference}>"),
    };
    wanted(line).offers.into_iter().map(word).collect()
}

#[test]
fn what_comes_next_follows_the_grammar() {
    assert!(words("ifbus ").contains(&"transfer".to_owned()));
    assert!(!words("ifbus ").iter().any(|word| word.starts_with('_')), "what is hidden is not offered");
    assert_eq!(words("ifbus call "), ["sip"]);
    assert_eq!(words("ifbus call sip "), ["from=", "to=", "caller_id=", "timeout=", "record=", "<server>"]);
    assert_eq!(words("ifbus call sip pbx1 from=1001 "), ["to=", "caller_id=", "timeout=", "record="]);
    assert_eq!(words("ifbus bus hold sip "), ["call_id=", "leg=", "call_id=<call>", "<server>"]);
    assert_eq!(words("ifbus show call "), ["<call>"]);
    assert_eq!(words("ifbus calls --server "), ["<server>"]);
    let kinds = ifbus_call::Kind::ALL.into_iter().map(|kind| kind.as_str().to_owned());
    assert_eq!(words("ifbus add sip pbx1 "), kinds.chain(["auto".to_owned()]).collect::<Vec<_>>());
    assert!(words("ifbus hangup sip --").contains(&"--dry-run".to_owned()));
    assert!(words("ifbus config ").contains(&"check".to_owned()));
    assert_eq!(words("ifbus list sip "), [""; 0]);
    assert_eq!(words("ifbus add sip pbx1 asterisk --auth "), [""; 0], "a secret is never offered");
}

#[test]
fn conferences_and_their_members_are_offered_where_they_are_named() {
    assert_eq!(words("ifbus conference "), ["create", "add", "list", "kick", "mute", "unmute", "end"]);
    assert_eq!(words("ifbus conference add "), ["sip"]);
    assert_eq!(words("ifbus conference create sip "), [""; 0], "a name of one's own");
    assert_eq!(words("ifbus conference create sip standup "), ["server=<server>"]);
    for verb in ["add", "list", "kick", "mute", "unmute", "end"] {
        assert_eq!(words(&format!("ifbus conference {verb} sip ")), ["<conference>"]);
    }
    let keys = ["to=", "call_id=", "caller_id=", "timeout=", "record=", "call_id=<call>"];
    assert_eq!(words("ifbus conference add sip standup "), keys);
    assert_eq!(words("ifbus conference mute sip standup "), ["member=<member of standup>"]);
    assert_eq!(words("ifbus record "), ["start", "stop", "fetch"]);
    assert_eq!(words("ifbus record start sip "), ["call_id=", "call_id=<call>", "<server>"]);
    assert_eq!(words("ifbus record fetch sip "), ["call_id=", "rec_id=", "out=", "call_id=<call>"]);
    assert_eq!(words("ifbus drain sip "), ["<server>"]);
    assert_eq!(words("ifbus undrain "), ["sip"]);
    assert!(words("ifbus drain sip pbx1 --").contains(&"--wait".to_owned()));
}

#[test]
fn no_line_is_too_strange() {
    for line in
        ["", " ", "ifbus", "--", "ifbus -", "ifbus nonsense x", "ifbus call sip \u{1b}[2J", "ifbus = = ="]
    {
        let _ = words(line);
    }
}
