//! Calls that come and go, through the fleet or through a bare socket: the same two legs, the same bridge, the same end.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use ifbus_call::CallId;
use ifbus_fleet::{Fleet, Read as Line};

use crate::orchestrator::{hang_up, place};

/// What is asked of a server.
#[derive(Clone, Copy)]
pub struct Load {
    /// How many calls.
    pub calls: usize,
    /// How many of them at once.
    pub at_once: usize,
    /// How long to wait between two.
    pub pause: Duration,
    /// The phones: this many from the first number.
    pub phones: (usize, usize),
}

impl Load {
    /// Both phones of a call.
    pub fn numbers(&self, n: usize) -> [String; 2] {
        let (first, count) = self.phones;
        [0, 1].map(|leg| (first + (2 * n + leg) % count).to_string())
    }
}

/// A runtime for whoever waits on this thread.
pub fn wait<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without sockets").block_on(story)
}

/// Through the fleet: each call is hung up as soon as both talk. Returns the calls that did not.
pub async fn through(fleet: &Fleet, load: Load) -> usize {
    let mut reader = fleet.journal.reader(None);
    let (mut placed, mut ended, mut talked) = (0, 0, 0);
    while ended < load.calls {
        while placed < load.calls && placed - ended < load.at_once {
            let [from, to] = load.numbers(placed);
            place(fleet, &from, &to).await.expect("the call is taken");
            placed += 1;
            if !load.pause.is_zero() {
                tokio::time::sleep(load.pause).await;
            }
            while let Some(line) = reader.try_next() {
                (ended, talked) = heard(fleet, line, ended, talked).await;
            }
        }
        match reader.next().await {
            Some(line) => (ended, talked) = heard(fleet, line, ended, talked).await,
            None => break,
        }
    }
    load.calls - talked
}

async fn heard(fleet: &Fleet, line: Line, ended: usize, talked: usize) -> (usize, usize) {
    let Line::Event(event) = line else { panic!("the journal is long enough") };
    match (event.fact.kind.as_str(), event.fact.call) {
        ("call.answered", Some(call)) => {
            hang_up(fleet, call).await;
            (ended, talked + 1)
        }
        ("call.ended", _) => (ended + 1, talked),
        _ => (ended, talked),
    }
}

/// Places calls that stay, and waits until all of them talk.
pub async fn hold(fleet: &Fleet, load: Load) -> Vec<CallId> {
    let mut reader = fleet.journal.reader(None);
    let mut calls = Vec::new();
    let mut answered = 0;
    while answered < load.calls {
        while calls.len() < load.calls && calls.len() - answered < load.at_once {
            let [from, to] = load.numbers(calls.len());
            calls.push(place(fleet, &from, &to).await.expect("the call is taken"));
        }
        if let Some(Line::Event(event)) = reader.next().await {
            if event.fact.kind == "call.ended" {
                panic!("{}; {}", event.fact.text, told_of_servers(fleet));
            }
            answered += usize::from(event.fact.kind == "call.answered");
        }
    }
    calls
}

/// What was told of servers since the beginning.
fn told_of_servers(fleet: &Fleet) -> String {
    let mut reader = fleet.journal.reader(Some(0));
    let mut told = String::new();
    while let Some(line) = reader.try_next() {
        if let Line::Event(event) = line
            && event.fact.kind.starts_with("server.")
        {
            told.push_str(&format!("{}: {}; ", event.fact.kind, event.fact.text));
        }
    }
    told
}

/// Hangs calls up, this many at once, and waits until each is over.
pub async fn release(fleet: &Fleet, calls: &[CallId], at_once: usize) {
    let mut reader = fleet.journal.reader(None);
    let (mut told, mut ended) = (0, 0);
    while ended < calls.len() {
        while told < calls.len() && told - ended < at_once {
            hang_up(fleet, calls[told]).await;
            told += 1;
        }
        if let Some(Line::Event(event)) = reader.next().await {
            ended += usize::from(event.fact.kind == "call.ended");
        }
    }
}

// ---- without ifbus ---------------------------------------------------------------------------------------------------

/// A socket of AMI that is logged in and sees `OriginateResponse` and `Hangup`.
pub struct Bare {
    stream: TcpStream,
    buffer: Vec<u8>,
    chunk: Vec<u8>,
}

impl Bare {
    /// Connects and logs in.
    pub fn connect(ip: IpAddr, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(SocketAddr::new(ip, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut bare = Self { stream, buffer: Vec::new(), chunk: vec![0; 64 * 1024] };
        let mut hello =
            "Action: Login\r\nUsername: ifbus\r\nSecret: ifbus-secret\r\nEvents: call\r\n\r\n".to_owned();
        for event in ["OriginateResponse", "Hangup"] {
            hello.push_str(&format!("Action: Filter\r\nOperation: Add\r\nFilter: Event: {event}\r\n\r\n"));
        }
        bare.stream.write_all(hello.as_bytes())?;
        Ok(bare)
    }

    fn originate(&self, run: &str, n: usize, leg: usize, number: &str) -> String {
        let id = format!("{run}-{n}-{leg}");
        format!(
            "Action: Originate\r\nActionID: {id}\r\nChannel: PJSIP/{number}\r\nTimeout: 20000\r\nAsync: true\r\n\
             ChannelId: {id}\r\nCallerID: <1002>\r\nContext: ifbus\r\nExten: wait\r\nPriority: 1\r\n\r\n"
        )
    }

    /// The same load as [`through`]: two legs, each waited for, bridged, hung up. Returns the calls that failed.
    pub fn through(&mut self, run: &str, load: Load) -> io::Result<usize> {
        let (mut placed, mut failed) = (0, 0);
        let mut legs: BTreeMap<usize, [String; 2]> = BTreeMap::new();
        let mut left: BTreeMap<usize, usize> = BTreeMap::new();
        let mut done = 0;
        while done < load.calls {
            let mut out = String::new();
            while placed < load.calls && placed - done < load.at_once {
                out.push_str(&self.originate(run, placed, 0, &load.numbers(placed)[0]));
                placed += 1;
            }
            self.stream.write_all(out.as_bytes())?;
            out.clear();
            for message in self.messages()? {
                let field = |key: &str| {
                    message
                        .split("\r\n")
                        .find_map(|line| line.strip_prefix(key))
                        .unwrap_or_default()
                        .to_owned()
                };
                let event = field("Event: ");
                let id = if event == "Hangup" { field("Uniqueid: ") } else { field("ActionID: ") };
                let Some((n, leg)) = id.strip_prefix(run).and_then(|id| {
                    let (n, leg) = id.strip_prefix('-')?.split_once('-')?;
                    Some((n.parse::<usize>().ok()?, leg.parse::<usize>().ok()?))
                }) else {
                    continue;
                };
                match event.as_str() {
                    "OriginateResponse" if field("Response: ") != "Success" => {
                        failed += 1;
                        done += 1;
                    }
                    "OriginateResponse" => {
                        legs.entry(n).or_default()[leg] = field("Channel: ");
                        if leg == 0 {
                            out.push_str(&self.originate(run, n, 1, &load.numbers(n)[1]));
                        } else {
                            let [a, b] = &legs[&n];
                            out.push_str(&format!(
                                "Action: Bridge\r\nActionID: {run}-{n}-2\r\nChannel1: {a}\r\nChannel2: {b}\r\n\r\n"
                            ));
                        }
                    }
                    "Hangup" => {
                        let left = left.entry(n).or_insert(2);
                        *left -= 1;
                        done += usize::from(*left == 0);
                    }
                    "" if leg == 2 => {
                        failed += usize::from(field("Response: ") != "Success");
                        for channel in &legs[&n] {
                            out.push_str(&format!("Action: Hangup\r\nChannel: {channel}\r\n\r\n"));
                        }
                    }
                    _ => {}
                }
            }
            self.stream.write_all(out.as_bytes())?;
        }
        Ok(failed)
    }

    fn messages(&mut self) -> io::Result<Vec<String>> {
        let length = self.stream.read(&mut self.chunk)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&self.chunk[..length]);
        let Some(end) = memchr::memmem::rfind(&self.buffer, b"\r\n\r\n") else { return Ok(Vec::new()) };
        let whole: Vec<u8> = self.buffer.drain(..end + 4).collect();
        Ok(String::from_utf8_lossy(&whole).split("\r\n\r\n").map(str::to_owned).collect())
    }
}
