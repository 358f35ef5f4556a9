//! One question and what may answer it.

use super::*;

const QUESTION: Question = Question { id: 0xabc };

fn answer(status: &str, id: &str) -> Vec<u8> {
    format!("SIP/2.0 {status}\r\nVia: SIP/2.0/UDP ifbus.invalid;rport=5\r\ncall-id : {id}\r\nCSeq: 1 OPTIONS\r\n\r\n")
        .into_bytes()
}

#[test]
fn the_question_is_a_whole_request() {
    let text = String::from_utf8(QUESTION.datagram("2001:db8::1", 5060)).expect("it is text");
    assert!(text.starts_with("OPTIONS sip:[2001:db8::1]:5060 SIP/2.0\r\n"));
    for header in
        ["Via: ", "Max-Forwards: ", "From: ", "To: ", "Call-ID: ", "CSeq: 1 OPTIONS", "Content-Length: 0"]
    {
        assert!(text.contains(&format!("\r\n{header}")), "{header}");
    }
    assert!(text.contains(";rport\r\n") && text.ends_with("\r\n\r\n"));
}

#[test]
fn any_status_of_our_own_question_is_a_sign_of_life() {
    let id = format!("{:032x}@ifbus.invalid", QUESTION.id);
    assert_eq!(QUESTION.answered_by(&answer("200 OK", &id)), Some(200));
    assert_eq!(QUESTION.answered_by(&answer("404 Not Found", &id)), Some(404));
}

#[test]
fn who_answered_is_read_from_the_head_alone() {
    let text = b"SIP/2.0 404 x\r\nserver : A/1 (b)\r\n\r\nServer: C";
    assert_eq!(server(text), Some("A/1 (b)"));
    assert_eq!(server(b"SIP/2.0 404 x\r\nUser-Agent: P\r\n\r\n"), Some("P"));
    assert_eq!(server(b"SIP/2.0 404 x\r\n\r\nServer: C"), None);
    assert_eq!(server(b"\xff\xff"), None);
}

#[test]
fn nothing_else_answers_it() {
    let id = format!("{:032x}@ifbus.invalid", QUESTION.id);
    assert_eq!(QUESTION.answered_by(&answer("200 OK", "somebody@else")), None);
    assert_eq!(QUESTION.answered_by(&answer("abc", &id)), None);
    assert_eq!(QUESTION.answered_by(b""), None);
    assert_eq!(QUESTION.answered_by(b"SIP/2.0 \xff\xff"), None);
    assert_eq!(QUESTION.answered_by(&QUESTION.datagram("h", 1)), None);
}
