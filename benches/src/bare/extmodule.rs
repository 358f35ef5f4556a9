//! An external module that watches answers and ends.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::{Leg, News, Wire};
use crate::kinds::PATIENCE;

/// A connection.
pub struct Engine {
    stream: TcpStream,
    run: String,
    out: String,
    buffer: Vec<u8>,
    chunk: Vec<u8>,
    /// The engine's names of our legs, and back.
    channels: BTreeMap<Leg, String>,
    legs: BTreeMap<String, Leg>,
}

impl Engine {
    /// Connects and says what is watched.
    pub fn connect(at: SocketAddr, run: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let out = "%%>connect:global\n%%>watch:call.answered\n%%>watch:chan.hangup\n".to_owned();
        Ok(Self {
            stream,
            run: run.to_owned(),
            out,
            buffer: Vec::new(),
            chunk: vec![0; 64 * 1024],
            channels: BTreeMap::new(),
            legs: BTreeMap::new(),
        })
    }

    fn say(&mut self, leg: Leg, message: &str) {
        let (run, (call, part)) = (&self.run, leg);
        self.out.push_str(&format!("%%>message:{run}-{call}-{part}:1:{message}\n"));
    }

    fn read(&mut self, line: &str) -> Option<News> {
        let field = |key: &str| line.split(':').find_map(|field| field.strip_prefix(key)?.strip_prefix('='));
        let (id, rest) = line.strip_prefix("%%<message:")?.split_once(':')?;
        if id.is_empty() {
            let leg = *self.legs.get(field("id")?)?;
            let name = rest.split(':').nth(1)?;
            return match name {
                "call.answered" => Some(News::Up(leg)),
                "chan.hangup" => Some(News::Gone(leg)),
                _ => None,
            };
        }
        let (call, part) = id.strip_prefix(&self.run)?.strip_prefix('-')?.split_once('-')?;
        let (call, part): (usize, usize) = (call.parse().ok()?, part.parse().ok()?);
        let well = rest.starts_with("true");
        match part {
            _ if !well && part < 3 => Some(News::Failed),
            0 | 1 => {
                let channel = field("targetid")?.to_owned();
                self.legs.insert(channel.clone(), (call, part));
                self.channels.insert((call, part), channel);
                None
            }
            2 => Some(News::Joined(call)),
            _ => None,
        }
    }
}

impl Wire for Engine {
    fn originate(&mut self, leg: Leg, number: &str) {
        let (call, part) = leg;
        let message = format!(
            "call.execute::callto=dumb/{}-{call}-{part}:target={number}:caller=1001:maxcall=20000",
            self.run
        );
        self.say(leg, &message);
    }

    fn join(&mut self, call: usize) {
        let channel = |part| self.channels.get(&(call, part)).cloned().unwrap_or_default();
        let message = format!("chan.connect::id={}:targetid={}", channel(0), channel(1));
        self.say((call, 2), &message);
    }

    fn hang_up(&mut self, call: usize) {
        for part in [0, 1] {
            let channel = self.channels.get(&(call, part)).cloned().unwrap_or_default();
            self.say((call, 3 + part), &format!("call.drop::id={channel}"));
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
        let Some(end) = memchr::memrchr(b'\n', &self.buffer) else { return Ok(Vec::new()) };
        let whole: Vec<u8> = self.buffer.drain(..=end).collect();
        Ok(String::from_utf8_lossy(&whole).lines().filter_map(|line| self.read(line)).collect())
    }
}
