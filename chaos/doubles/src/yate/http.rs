//! The file server beside a Yate: the folder of recordings, and nothing else.

use super::Yate;
use crate::double::Link;
use crate::faults::HttpState;

impl Yate {
    pub(super) fn http_bytes(&mut self, link: Link, bytes: &[u8]) {
        let now = self.world.now;
        let Some(buffer) = self.http.get_mut(&link) else { return };
        buffer.extend_from_slice(bytes);
        let text = String::from_utf8_lossy(buffer).into_owned();
        if !text.contains("\r\n\r\n") {
            return;
        }
        let path = text.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
        let (status, body) = match (self.wire.faults.http, path.as_str()) {
            (HttpState::Unavailable, _) => ("503 Service Unavailable", Vec::new()),
            (_, "") => ("200 OK", b"a list of files".to_vec()),
            (_, name) => match self.world.files.get(name) {
                Some(file) => ("200 OK", file.clone()),
                None => ("404 File not found", Vec::new()),
            },
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        self.http.remove(&link);
        self.wire.reply(link, [head.into_bytes(), body].concat(), now);
        self.wire.close(link, now);
    }
}
