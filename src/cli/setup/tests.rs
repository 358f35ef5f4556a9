use super::diff::Sections;
use super::filled;
use super::known::Known;
use super::parts::parts;
use ifbus_call::Kind;

fn part(word: &str) -> String {
    let part = parts(Kind::Asterisk).iter().find(|part| part.word == word).unwrap();
    filled(part, &Known::default())
}

fn missing(word: &str, theirs: &str) -> Vec<String> {
    Sections::parse(&part(word)).missing_in(&Sections::parse(theirs), word == "dialplan")
}

#[test]
fn what_is_printed_lacks_nothing_of_itself() {
    for word in ["manager", "http", "ari", "dialplan"] {
        assert_eq!(missing(word, &part(word)), [""; 0], "{word}");
        assert!(!missing(word, "").is_empty(), "{word}");
    }
}

#[test]
fn rights_are_sets_and_what_is_chosen_may_be_anything() {
    let theirs = "[general]\nenabled=YES ; on\nbindaddr = 192.0.2.10\nport=5038\ndisabledevents=VarSet, Newexten\n\
                  timestampevents = yes\n[other]\nread = all\n[ifbus]\nsecret = x\ndeny=0.0.0.0/0.0.0.0\n\
                  permit=192.0.2.5/32\nread=call,system,user,agent,dtmf,reporting\nwrite = all\nwritetimeout = 5000\n";
    assert_eq!(
        missing("manager", theirs),
        ["  [ifbus]", "- write = all", "+ write = system,call,originate,reporting,user"]
    );
}

#[test]
fn a_step_that_is_missing_is_told_with_its_extension() {
    let theirs =
        part("dialplan").replace(" same => n,Playtones(ring)\n", "").replace("[ifbus]", "[ifbus] ; mine");
    let expected = [
        "  [ifbus]",
        "- exten => ringback,1,Answer()",
        "-  same => n,Wait(150)",
        "-  same => n,Hangup(16)",
        "+ exten => ringback,1,Answer()",
        "+  same => n,Playtones(ring)",
        "+  same => n,Wait(150)",
        "+  same => n,Hangup(16)",
    ];
    assert_eq!(missing("dialplan", &theirs), expected);
    assert_eq!(missing("dialplan", "[default]\n")[0], "+ [ifbus]");
}

#[test]
fn what_is_known_is_filled_in() {
    let known = Known {
        name: Some("pbx1".to_owned()),
        host: Some("192.0.2.10".to_owned()),
        ours: Some("192.0.2.5".parse().unwrap()),
    };
    let text = filled(parts(Kind::Asterisk).iter().find(|part| part.word == "manager").unwrap(), &known);
    assert!(text.contains("bindaddr = 192.0.2.10\n") && text.contains("permit = 192.0.2.5/32\n"), "{text}");
    assert!(text.contains("secret = (choose one"), "a secret is never a default");
    assert!(part("manager").contains("permit = (choose one: "));
}

#[test]
fn an_issabel_gets_files_that_its_updates_leave_alone_and_the_places_of_every_asterisk() {
    let words: Vec<&str> = parts(Kind::Elastix).iter().map(|part| part.word).collect();
    assert_eq!(words, ["manager", "dialplan", "recordings", "pbxapi"]);
    let of = |word: &str| {
        filled(parts(Kind::Elastix).iter().find(|part| part.word == word).unwrap(), &Known::default())
    };
    assert!(of("dialplan").starts_with(&part("dialplan")) && of("dialplan").contains("[ifbus-from-trunk]"));
    assert!(of("manager").contains("secret = (choose one") && !of("manager").contains("[general]"));
}

#[test]
fn what_a_test_cannot_see_is_there() {
    for part in Kind::ALL.into_iter().flat_map(parts) {
        for (line, _) in part.unseen {
            let is_it = |text: &str| text.trim_start().starts_with(line);
            assert!(part.text.lines().any(is_it), "{}: {line}", part.file);
        }
    }
}

#[test]
fn an_xml_file_is_told_by_its_parameters() {
    let text = filled(&parts(Kind::FreeSwitch)[0], &Known::default());
    let whole = Sections::parse(&text);
    assert_eq!(whole.missing_in(&Sections::parse(&text), false), [""; 0]);
    let theirs = "<configuration name=\"event_socket.conf\">\n <settings>\n  <param name=\"listen-ip\" value=\"::\"/>\n  \
                  <!-- <param name=\"listen-port\" value=\"8021\"/> -->\n  <param name=\"password\" value=\"x\"/>\n  \
                  <param name=\"apply-inbound-acl\" value=\"lan\"/>\n  <param name=\"stop-on-bind-error\" value=\"false\"/>\n";
    assert_eq!(
        whole.missing_in(&Sections::parse(theirs), false),
        [
            "  [event_socket.conf]",
            "+ listen-port = 8021",
            "- stop-on-bind-error = false",
            "+ stop-on-bind-error = true"
        ]
    );
}

#[test]
fn a_script_is_compared_line_by_line() {
    let text = |word: &str| {
        filled(parts(Kind::Kamailio).iter().find(|part| part.word == word).unwrap(), &Known::default())
    };
    for word in ["modules", "routes"] {
        let text = text(word);
        assert_eq!(super::diff::lines_missing_in(&text, &text), [""; 0], "{word}");
        assert_eq!(super::diff::lines_missing_in(&text, &text.replace('\t', "    ")), [""; 0], "{word}");
        assert!(super::diff::lines_missing_in(&text, "").len() > 20, "{word}");
    }
    let theirs = text("modules").replace("loadmodule \"evapi.so\"\n", "");
    assert_eq!(super::diff::lines_missing_in(&text("modules"), &theirs), ["+ loadmodule \"evapi.so\""]);
}
