//! An event socket that hears the ends of jobs and of legs.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::{Leg, News, Wire};
use crate::kinds::PATIENCE;

/// A connection.
pub struct Esl {
    stream: TcpStream,
    run: String,
    out: String,
    buffer: Vec<u8>,
    chunk: Vec<u8>,
}

impl Esl {
    /// Connects and logs in.
    pub fn connect(at: SocketAddr, run: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let out = "auth ifbus-secret\n\nevent json BACKGROUND_JOB CHANNEL_HANGUP_COMPLETE\n\n".to_owned();
        Ok(Self { stream, run: run.to_owned(), out, buffer: Vec::new(), chunk: vec![0; 64 * 1024] })
    }

    fn name(&self, (call, leg): Leg) -> String {
        format!("{}-{call}-{leg}", self.run)
    }

    fn leg(&self, name: &str) -> Option<Leg> {
        let (call, leg) = name.strip_prefix(&self.run)?.strip_prefix('-')?.split_once('-')?;
        Some((call.parse().ok()?, leg.parse().ok()?))
    }

    fn read(&self, event: &str) -> Option<News> {
        let field = |key: &str| event.split(key).nth(1)?.split('"').next();
        if event.contains("\"CHANNEL_HANGUP_COMPLETE\"") {
            return Some(News::Gone(self.leg(field("\"Unique-ID\":\"")?)?));
        }
        let (call, part) = self.leg(field("\"Job-UUID\":\"")?)?;
        let well = field("\"_body\":\"")?.starts_with("+OK");
        match part {
            _ if !well => Some(News::Failed),
            0 | 1 => Some(News::Up((call, part))),
            2 => Some(News::Joined(call)),
            _ => None,
        }
    }
}

impl Wire for Esl {
    fn originate(&mut self, leg: Leg, number: &str) {
        let name = self.name(leg);
        self.out.push_str(&format!(
            "bgapi originate {{origination_uuid={name},originate_timeout=20}}sofia/lab/{number}@127.0.0.1 &park()\n\
             Job-UUID: {name}\n\n"
        ));
    }

    fn join(&mut self, call: usize) {
        let [a, b, job] = [0, 1, 2].map(|part| self.name((call, part)));
        self.out.push_str(&format!("bgapi uuid_bridge {a} {b}\nJob-UUID: {job}\n\n"));
    }

    fn hang_up(&mut self, call: usize) {
        for part in [0, 1] {
            let name = self.name((call, part));
            self.out.push_str(&format!("bgapi uuid_kill {name}\nJob-UUID: end\n\n"));
        }
    }

    fn news(&mut self) -> io::Result<Vec<News>> {
        self.stream.write_all(self.out.as_bytes())?;
        self.out.clear();
        let length = self.stream.read(&mut self.chunk)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&self.chunk[..length]);
        let (mut news, mut at) = (Vec::new(), 0);
        while let Some(end) = memchr::memmem::find(&self.buffer[at..], b"\n\n").map(|end| at + end) {
            let head = String::from_utf8_lossy(&self.buffer[at..end]);
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
            let (body, length): (usize, usize) = (end + 2, length.unwrap_or(0));
            let Some(event) = self.buffer.get(body..body + length) else { break };
            news.extend(self.read(&String::from_utf8_lossy(event)));
            at = body + length;
        }
        self.buffer.drain(..at);
        Ok(news)
    }
}
