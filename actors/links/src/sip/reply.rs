//! Replies of the wire as values.

use ifbus_adapters::sip::{Reply, Session};
use rsipstack::sip::Response;

use super::text::{Text, parameter};
use super::transport::LOCAL;

/// What a final reply says.
pub(super) fn reply(response: &Response) -> Reply {
    let text = Text::of(response);
    let code = response.status_code.code();
    let words = response.wire_reason.clone().unwrap_or_else(|| response.status_code.text().to_owned());
    let local = text.first(LOCAL).is_some();
    Reply {
        code,
        local,
        unsent: false,
        text: if local { "no answer in time".to_owned() } else { words },
        reason: text.q850(),
        sdp: description(&text, &response.body),
        session: session(&text, code, true),
    }
}

/// The session description of a body, if it is one and nothing else.
pub(super) fn description(text: &Text, body: &[u8]) -> Option<String> {
    let described = text.content_type() == "application/sdp" && !body.is_empty();
    described.then(|| String::from_utf8(body.to_vec()).ok()).flatten()
}

/// `Session-Expires`; of a 422 `Min-SE`. `asked`: the request was ours.
pub(super) fn session(text: &Text, code: u16, asked: bool) -> Option<Session> {
    if code == 422 {
        let every = text.first("min-se")?.split(';').next()?.trim().parse().ok()?;
        return Some(Session { every, ours: true });
    }
    let value = text.first("session-expires").or_else(|| text.first("x"))?;
    let every = value.split(';').next()?.trim().parse().ok()?;
    let refresher = parameter(value, "refresher").unwrap_or("uac");
    Some(Session { every, ours: refresher.eq_ignore_ascii_case("uac") == asked })
}
