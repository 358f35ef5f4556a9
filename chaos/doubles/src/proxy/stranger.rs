//! Somebody whom nobody knows calls through the proxy; nobody hears the answer, which repeats until it is acknowledged.

use std::net::SocketAddr;

/// A caller.
#[derive(Debug, Default)]
pub(crate) struct Stranger {
    calls: u32,
}

impl Stranger {
    /// An INVITE as a phone would send it: its Call-ID, where it comes from, and the datagram.
    pub(crate) fn invite(&mut self, from: &str, to: &str, at: SocketAddr) -> (String, SocketAddr, Vec<u8>) {
        self.calls += 1;
        let call_id = format!("foreign-{}@phones", self.calls);
        let caller = SocketAddr::from(([127, 0, 0, 1], 9));
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40002 RTP/AVP 0\r\n";
        let invite = format!(
            "INVITE sip:{to}@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {caller};branch=z9hG4bK{call_id};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{from}@{at}>;tag=f\r\nTo: <sip:{to}@{at}>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:{from}@{caller}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        (call_id, caller, invite.into_bytes())
    }

    /// A number of any bytes, as it can stand in a URI.
    pub(crate) fn escaped(raw: &str) -> String {
        raw.bytes()
            .map(|byte| match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
                other => format!("%{other:02x}"),
            })
            .collect()
    }
}
