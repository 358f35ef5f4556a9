//! The smallest SIP question: OPTIONS over UDP, to learn whether the telephones' side of a server answers at all.
//!
//! Not a SIP agent: no dialog, no authentication, no parsing beyond the status and the ids of our own question. Any
//! final or provisional status is a sign of life (RFC 3261 section 11).

use std::fmt::Write as _;

/// One question; its ids are random so that nobody can answer who has not seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The unique part of branch, tag and Call-ID.
    pub id: u128,
}

impl Question {
    /// The datagram that asks `host`. Repeating it unchanged is a retransmission.
    ///
    /// Our own address is unknown here: `rport` makes the server answer to where the datagram came from (RFC 3581).
    #[must_use]
    pub fn datagram(&self, host: &str, port: u16) -> Vec<u8> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        self.message(&format!("sip:{host}:{port}"), "ifbus@ifbus.invalid", "UDP")
    }

    /// The same about somebody else: his URI, our own `user@host`, and the transport, `UDP` or `TCP`.
    ///
    /// `Max-Forwards` is 1, so that nobody behind the server is asked by a server that counts.
    #[must_use]
    pub fn message(&self, uri: &str, from: &str, transport: &str) -> Vec<u8> {
        let id = self.id;
        let mut text = String::with_capacity(400);
        write!(
            text,
            "OPTIONS {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} ifbus.invalid;branch=z9hG4bK{id:032x};rport\r\n\
             Max-Forwards: 1\r\n\
             From: <sip:{from}>;tag={id:032x}\r\n\
             To: <{uri}>\r\n\
             Call-ID: {id:032x}@ifbus.invalid\r\n\
             CSeq: 1 OPTIONS\r\n\
             Contact: <sip:ifbus@ifbus.invalid>\r\n\
             Accept: application/sdp\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .expect("a string takes everything");
        text.into_bytes()
    }

    /// The status of a datagram, if it answers this question.
    #[must_use]
    pub fn answered_by(&self, datagram: &[u8]) -> Option<u16> {
        let head = &datagram[..datagram.len().min(4096)];
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let status = lines.next()?.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
        let id = format!("{:032x}@ifbus.invalid", self.id);
        let ours = lines.take_while(|line| !line.is_empty()).any(|line| {
            line.split_once(':').is_some_and(|(key, value)| {
                let key = key.trim();
                (key.eq_ignore_ascii_case("Call-ID") || key.eq_ignore_ascii_case("i")) && value.trim() == id
            })
        });
        (ours && (100..700).contains(&status)).then_some(status)
    }
}

/// Who answered, by `Server` or `User-Agent`, as the datagram has it.
#[must_use]
pub fn server(datagram: &[u8]) -> Option<&str> {
    let head = &datagram[..datagram.len().min(4096)];
    let lines = std::str::from_utf8(head).ok()?.split("\r\n").take_while(|line| !line.is_empty());
    let named = |(key, _): &(&str, &str)| {
        let key = key.trim();
        key.eq_ignore_ascii_case("Server") || key.eq_ignore_ascii_case("User-Agent")
    };
    lines.filter_map(|line| line.split_once(':')).find(named).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests;
