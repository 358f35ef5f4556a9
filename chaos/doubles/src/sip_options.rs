//! The answer of a server to SIP OPTIONS: the bare minimum that says "alive".

/// What is copied from the question (RFC 3261, section 8.2.6.2).
const ECHOED: [&str; 5] = ["via:", "from:", "to:", "call-id:", "cseq:"];

/// 200 OK, if this is an OPTIONS request.
pub(crate) fn answer(request: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(request);
    let is_echoed = |line: &&str| {
        let line = line.to_ascii_lowercase();
        ECHOED.iter().any(|name| line.starts_with(name))
    };
    if !text.starts_with("OPTIONS ") {
        return None;
    }
    let mut answer = "SIP/2.0 200 OK\r\n".to_owned();
    for line in text.lines().filter(is_echoed) {
        answer.push_str(line.trim_end());
        answer.push_str("\r\n");
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    Some(answer.into_bytes())
}
