//! Words: what is taken, what is refused.

use proptest::prelude::*;

use crate::address::{BadAddress, Form};
use crate::{Address, CallId, Digits, InstanceId, LegId, Said, ServerName};

#[test]
fn an_address_has_one_of_three_forms() {
    let form = |text: &str| text.parse::<Address>().map(|address| address.form());
    assert_eq!(form("1001"), Ok(Form::Extension));
    assert_eq!(form("alice.b-c_d"), Ok(Form::Extension));
    assert_eq!(form("*97#"), Ok(Form::Extension));
    assert_eq!(form("+4930123456"), Ok(Form::E164));
    assert_eq!(form("sip:alice@example.org:5062"), Ok(Form::Uri));
    assert_eq!(form("sips:a@[2001:db8::1]:5061"), Ok(Form::Uri));
}

#[test]
fn the_user_of_an_address_is_what_a_phone_shows() {
    let user = |text: &str| text.parse::<Address>().unwrap().user().to_owned();
    assert_eq!((user("1001"), user("sip:alice@example.org")), ("1001".into(), "alice".into()));
}

#[test]
fn what_could_break_a_wire_is_no_address() {
    for text in [
        "",
        "10 01",
        "1001\r\nAction: Ping",
        "1001\n",
        "1001\0",
        "1001,1002",
        "1001&1002",
        "1001/n",
        "a;b",
        "${X}",
        "a\"b",
        "ä",
        "sip:",
        "sip:host",
        "sip:@host",
        "sip:a@",
        "sip:a@h:0",
        "sip:a@h:99999",
        "sip:a:b@h",
        "+",
        "+12a",
        "+1234567890123456",
        "sip:a@h;transport=tcp",
        "sip:a@[zz]",
        "sip:a@b@c",
    ] {
        assert!(text.parse::<Address>().is_err(), "{text:?} was taken");
    }
    assert_eq!("1".repeat(201).parse::<Address>(), Err(BadAddress::TooLong(201)));
}

#[test]
fn digits_are_checked_and_upper_case() {
    assert_eq!("12*#d".parse::<Digits>().unwrap().as_str(), "12*#D");
    for text in ["", "12x", "1 2", "E", &"1".repeat(33)] {
        assert!(text.parse::<Digits>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn server_names_fit_a_table_and_a_path() {
    for text in ["pbx1", "fs-1.example", "A_b"] {
        assert!(text.parse::<ServerName>().is_ok());
    }
    for text in ["", "-x", ".x", "a b", "a/b", "é", &"a".repeat(41), "a\n"] {
        assert!(text.parse::<ServerName>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn what_a_server_said_is_cut_at_a_character() {
    let said = Said::new(None, &"é".repeat(150));
    assert_eq!(said.text.len(), 200);
    assert_eq!(Said::new(Some(16), "Normal Clearing").to_string(), "16 Normal Clearing");
}

proptest! {
    #[test]
    fn call_ids_read_back_and_sort_by_time(ms in 0u64..1 << 48, random: u128, later in 1u64..1000) {
        let id = CallId::new(ms, random);
        prop_assert_eq!(id.to_string().parse::<CallId>(), Ok(id));
        prop_assert_eq!(id.born_unix_ms(), ms);
        prop_assert_eq!(id.to_string().len(), 28);
        let next = CallId::new((ms + later).min((1 << 48) - 1), !random);
        prop_assert!(next.born_unix_ms() == ms || (id < next && id.to_string() < next.to_string()));
    }

    #[test]
    fn leg_and_instance_ids_read_back(leg: u128, instance: u64) {
        prop_assert_eq!(LegId(leg).to_string().parse::<LegId>(), Ok(LegId(leg)));
        prop_assert_eq!(InstanceId(instance).to_string().parse::<InstanceId>(), Ok(InstanceId(instance)));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text: String) {
        let _ = (text.parse::<Address>(), text.parse::<CallId>(), text.parse::<LegId>(), text.parse::<Digits>());
        let _ = text.parse::<ServerName>();
    }
}
