//! A caller of its own that joins two phones behind a proxy: the second is offered what the first one said, the first one
//! then what the second one said.
//!
//! As little as the proxies of the laboratory take: nothing is repeated, nobody is asked for a password.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::{Leg, News, Wire};
use crate::kinds::PATIENCE;
use crate::quiet::{describe, header, headers};

/// A dialog.
struct Dialog {
    to: String,
    target: String,
    route: String,
    sdp: String,
    cseq: u32,
}

/// A socket and its dialogs.
pub struct Caller {
    socket: UdpSocket,
    at: SocketAddr,
    proxy: SocketAddr,
    run: String,
    out: Vec<String>,
    dialogs: BTreeMap<Leg, Dialog>,
    buffer: Vec<u8>,
}

impl Caller {
    /// Opens a socket.
    pub fn open(proxy: SocketAddr, run: &str) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let at = socket.local_addr()?;
        let (out, dialogs) = (Vec::new(), BTreeMap::new());
        Ok(Self { socket, at, proxy, run: run.to_owned(), out, dialogs, buffer: vec![0; 65_536] })
    }

    fn request(&mut self, method: &str, leg: Leg, body: &str) {
        let Some(dialog) = self.dialogs.get(&leg) else { return };
        let (at, (call, part), run) = (self.at, leg, &self.run);
        let (Dialog { to, target, route, cseq, .. }, kind) =
            (dialog, if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" });
        self.out.push(format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{run}-{call}-{part}-{cseq}{method};rport\r\n\
             Max-Forwards: 70\r\n{route}From: <sip:1001@{at}>;tag={run}{call}x{part}\r\nTo: {to}\r\n\
             Call-ID: {run}-{call}-{part}@bare\r\nCSeq: {cseq} {method}\r\nContact: <sip:bare@{at}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    fn read(&mut self, reply: &str) -> Option<News> {
        let code: u16 = reply.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
        let name =
            header(reply, "Call-ID").strip_suffix("@bare")?.strip_prefix(&self.run)?.strip_prefix('-')?;
        let (call, part) = name.split_once('-')?;
        let leg @ (call, part): Leg = (call.parse().ok()?, part.parse().ok()?);
        let (cseq, method) = header(reply, "CSeq").split_once(' ')?;
        match (method, code) {
            (_, ..200) => None,
            ("BYE", _) => self.dialogs.remove(&leg).map(|_| News::Gone(leg)),
            ("INVITE", 200..300) => {
                let dialog = self.dialogs.get_mut(&leg).filter(|dialog| dialog.cseq.to_string() == cseq)?;
                let first = dialog.sdp.is_empty();
                dialog.to = header(reply, "To").to_owned();
                dialog.target = header(reply, "Contact").trim_matches(['<', '>']).to_owned();
                let mut routes: Vec<&str> = headers(reply, "Record-Route").collect();
                routes.reverse();
                dialog.route = routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
                dialog.sdp = reply.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
                self.request("ACK", leg, "");
                if let Some(dialog) = self.dialogs.get_mut(&leg) {
                    dialog.cseq += 1;
                }
                match (first, part) {
                    (true, _) => Some(News::Up(leg)),
                    (false, _) => Some(News::Joined(call)),
                }
            }
            _ => Some(News::Failed),
        }
    }
}

impl Wire for Caller {
    fn originate(&mut self, leg: Leg, number: &str) {
        let offer = match self.dialogs.get(&(leg.0, 0)) {
            Some(first) => first.sdp.clone(),
            None => describe(self.at),
        };
        let target = format!("sip:{number}@{}", self.proxy);
        let (to, route) = (format!("<{target}>"), String::new());
        self.dialogs.insert(leg, Dialog { to, target, route, sdp: String::new(), cseq: 1 });
        self.request("INVITE", leg, &offer);
    }

    fn join(&mut self, call: usize) {
        let offer = self.dialogs.get(&(call, 1)).map(|second| second.sdp.clone()).unwrap_or_default();
        self.request("INVITE", (call, 0), &offer);
    }

    fn hang_up(&mut self, call: usize) {
        for part in [0, 1] {
            self.request("BYE", (call, part), "");
        }
    }

    fn news(&mut self) -> io::Result<Vec<News>> {
        for message in std::mem::take(&mut self.out) {
            self.socket.send_to(message.as_bytes(), self.proxy)?;
        }
        let (length, _) = self.socket.recv_from(&mut self.buffer)?;
        let reply = String::from_utf8_lossy(&self.buffer[..length]).into_owned();
        Ok(self.read(&reply).into_iter().collect())
    }
}
