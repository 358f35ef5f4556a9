//! Our end of a simulated connection: a bare stream, datagrams, an HTTP exchange or a WebSocket, spoken byte by byte.

use actix_http::ws::{Codec, Frame, Message};
use ifbus_adapters::adapter::{HttpReply, HttpRequest, LinkError, LinkId, RequestId, Secret};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use crate::network::Report;

/// One end.
pub(super) struct Client {
    kind: Kind,
    /// What was sent before the connection was there.
    early: Vec<u8>,
    open: bool,
}

enum Kind {
    Stream(LinkId),
    Datagrams(LinkId),
    Http {
        request: RequestId,
        http: Box<HttpRequest>,
        answer: Vec<u8>,
    },
    WebSocket {
        link: LinkId,
        hello: Vec<u8>,
        answer: Vec<u8>,
        upgraded: bool,
        codec: Codec,
        buffer: BytesMut,
    },
}

/// What an input comes to.
#[derive(Default)]
pub(super) struct Said {
    pub(super) reports: Vec<Report>,
    pub(super) answers: Vec<Vec<u8>>,
    pub(super) over: bool,
}

impl Said {
    fn report(report: Report) -> Self {
        Self { reports: vec![report], ..Self::default() }
    }

    pub(super) fn over(reports: Vec<Report>) -> Self {
        Self { reports, answers: Vec::new(), over: true }
    }
}

impl Client {
    pub(super) const fn stream(link: LinkId) -> Self {
        Self { kind: Kind::Stream(link), early: Vec::new(), open: false }
    }

    pub(super) const fn datagrams(link: LinkId) -> Self {
        Self { kind: Kind::Datagrams(link), early: Vec::new(), open: false }
    }

    pub(super) fn http(request: RequestId, http: HttpRequest) -> Self {
        Self {
            kind: Kind::Http { request, http: Box::new(http), answer: Vec::new() },
            early: Vec::new(),
            open: false,
        }
    }

    pub(super) fn websocket(
        link: LinkId,
        host: &str,
        path: &str,
        basic: Option<&(String, Secret)>,
        message_max: usize,
    ) -> Self {
        let hello = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2ltdWxhdGVkIGlmYnVzIQ==\r\n{}\r\n",
            authorization(basic)
        );
        let codec = Codec::new().client_mode().max_size(message_max);
        let kind = Kind::WebSocket {
            link,
            hello: hello.into_bytes(),
            answer: Vec::new(),
            upgraded: false,
            codec,
            buffer: BytesMut::new(),
        };
        Self { kind, early: Vec::new(), open: false }
    }

    pub(super) const fn is_datagrams(&self) -> bool {
        matches!(self.kind, Kind::Datagrams(_))
    }

    /// Bytes of ours as they go on the wire; `None` if they have to wait.
    pub(super) fn outgoing(&mut self, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let ready = match &self.kind {
            Kind::WebSocket { upgraded, .. } => *upgraded,
            Kind::Stream(_) | Kind::Datagrams(_) | Kind::Http { .. } => self.open,
        };
        if !ready {
            self.early.extend_from_slice(&bytes);
            return None;
        }
        Some(match &mut self.kind {
            Kind::WebSocket { codec, .. } => framed(codec, Message::Binary(bytes.into())),
            Kind::Stream(_) | Kind::Datagrams(_) | Kind::Http { .. } => bytes,
        })
    }

    /// The host took the connection.
    pub(super) fn accepted(&mut self) -> Said {
        self.open = true;
        let early = std::mem::take(&mut self.early);
        match &self.kind {
            Kind::Stream(link) | Kind::Datagrams(link) => {
                let answers = if early.is_empty() { vec![] } else { vec![early] };
                Said { answers, ..Said::report(Report::Opened(*link)) }
            }
            Kind::Http { http, .. } => Said { answers: vec![request(http)], ..Said::default() },
            Kind::WebSocket { hello, .. } => Said { answers: vec![hello.clone()], ..Said::default() },
        }
    }

    /// Bytes came.
    pub(super) fn incoming(&mut self, bytes: &[u8]) -> Said {
        match &mut self.kind {
            Kind::Stream(link) | Kind::Datagrams(link) => Said::report(Report::Bytes(*link, bytes.to_vec())),
            Kind::Http { request, answer, http } => {
                answer.extend_from_slice(bytes);
                match response(answer) {
                    None => Said::default(),
                    Some((_, body, _)) if body.len() > http.reply_max => Said::over(vec![Report::Http(
                        *request,
                        Err(LinkError::Limit("bytes of an http answer")),
                    )]),
                    Some((status @ 200..=299, body, _)) if http.streamed => Said::over(vec![
                        Report::HttpPart(*request, body.to_vec()),
                        Report::Http(*request, Ok(HttpReply { status, body: Vec::new() })),
                    ]),
                    Some((status, body, _)) => Said::over(vec![Report::Http(
                        *request,
                        Ok(HttpReply { status, body: body.to_vec() }),
                    )]),
                }
            }
            Kind::WebSocket { link, answer, upgraded, buffer, .. } => {
                let link = *link;
                if *upgraded {
                    buffer.extend_from_slice(bytes);
                    return self.frames(Said::default());
                }
                answer.extend_from_slice(bytes);
                match response(answer) {
                    None => Said::default(),
                    Some((101, _, head)) => {
                        buffer.extend_from_slice(&answer[head..]);
                        *upgraded = true;
                        self.frames(Said::report(Report::Opened(link)))
                    }
                    Some((status, _, _)) => Said::over(vec![Report::Closed(link, LinkError::Status(status))]),
                }
            }
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&self, why: LinkError) -> Vec<Report> {
        match &self.kind {
            Kind::Stream(link) | Kind::Datagrams(link) | Kind::WebSocket { link, .. } => {
                vec![Report::Closed(*link, why)]
            }
            Kind::Http { request, .. } => vec![Report::Http(*request, Err(why))],
        }
    }

    fn frames(&mut self, mut said: Said) -> Said {
        let Kind::WebSocket { link, codec, buffer, .. } = &mut self.kind else { return said };
        loop {
            match codec.decode(buffer) {
                Ok(Some(Frame::Text(bytes) | Frame::Binary(bytes))) => {
                    said.reports.push(Report::Bytes(*link, bytes.to_vec()));
                }
                Ok(Some(Frame::Ping(payload))) => said.answers.push(framed(codec, Message::Pong(payload))),
                Ok(Some(Frame::Close(_))) => {
                    said.reports.push(Report::Closed(*link, LinkError::Closed));
                    said.over = true;
                    return said;
                }
                Ok(Some(Frame::Pong(_) | Frame::Continuation(_))) => {}
                Ok(None) => return said,
                Err(error) => {
                    said.reports.push(Report::Closed(*link, LinkError::Other(error.to_string())));
                    said.over = true;
                    return said;
                }
            }
        }
    }
}

fn framed(codec: &mut Codec, message: Message) -> Vec<u8> {
    let mut wire = BytesMut::new();
    // A message of ours has no continuation, which is all that encoding refuses.
    codec.encode(message, &mut wire).map(|()| wire.to_vec()).unwrap_or_default()
}

fn request(http: &HttpRequest) -> Vec<u8> {
    let mut wire = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}",
        http.method,
        http.path,
        http.host,
        http.bearer.as_ref().map_or_else(
            || authorization(http.basic.as_ref()),
            |token| format!("Authorization: Bearer {}\r\n", token.expose())
        )
    )
    .into_bytes();
    let body: &[u8] = match &http.body {
        Some((kind, body)) => {
            wire.extend_from_slice(format!("Content-Type: {kind}\r\n").as_bytes());
            body
        }
        None => &[],
    };
    wire.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    wire.extend_from_slice(body);
    wire
}

fn authorization(basic: Option<&(String, Secret)>) -> String {
    basic.map_or_else(String::new, |(user, password)| {
        format!("Authorization: Basic {}\r\n", base64(format!("{user}:{}", password.expose()).as_bytes()))
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { digit as char } else { '=' });
        }
    }
    text
}

/// Status, body and length of the head, once the whole response is there.
fn response(bytes: &[u8]) -> Option<(u16, &[u8], usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse::<usize>().ok())?;
    let body = bytes.get(head..head + length)?;
    Some((status, body, head))
}
