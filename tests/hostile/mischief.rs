//! A peer between the double and us that does what a test says, and counts what it got rid of.

use ifbus_doubles::double::Mortal as _;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use ifbus_fleet::view::{ServerState, Status};
use ifbus_links::simulated::{Host, Wanted};

use crate::world::{Pbx, World};

pub const AMI: u16 = 5038;
pub const HTTP: u16 = 8088;

/// How a peer behaves at one port.
pub enum Mischief {
    /// It says this to whoever connects, and never listens.
    Says(Vec<u8>),
    /// It says this again and again, as long as somebody reads.
    Repeats(Vec<u8>, Vec<u8>),
    /// It says this and closes.
    SaysAndCloses(Vec<u8>),
    /// The server's own bytes, changed.
    Bends(Box<dyn FnMut(u64, Vec<u8>) -> Vec<Wanted>>),
}

/// The peer.
pub struct Peer {
    inside: Rc<RefCell<Pbx>>,
    port: u16,
    mischief: Option<Mischief>,
    /// Connections that the double does not know of.
    taken: BTreeMap<u64, bool>,
    ports: BTreeMap<u64, u16>,
    out: VecDeque<Wanted>,
    now: Duration,
    /// Bytes said to each connection that was taken.
    pub said: BTreeMap<u64, usize>,
    /// Everything we said to its manager port.
    pub heard: Vec<u8>,
    /// How often somebody connected to its manager port.
    pub connected: usize,
}

/// The peer, as a test holds it.
pub struct Handle<'a, 'u> {
    world: &'a World<'u>,
    name: &'static str,
    pub peer: Rc<RefCell<Peer>>,
}

impl<'a, 'u> Handle<'a, 'u> {
    /// Puts a peer that behaves before a server of this world.
    pub async fn before(world: &'a World<'u>, name: &'static str) -> Self {
        let peer = Rc::new(RefCell::new(Peer {
            inside: Rc::clone(&world.servers[name]),
            port: 0,
            mischief: None,
            taken: BTreeMap::new(),
            ports: BTreeMap::new(),
            out: VecDeque::new(),
            now: Duration::ZERO,
            said: BTreeMap::new(),
            heard: Vec::new(),
            connected: 0,
        }));
        world.network.put(name, peer.clone());
        let handle = Self { world, name, peer };
        handle.throws_everybody_out();
        world.until("down", |world| world.state(name) == ServerState::Down).await;
        world.until("up, through the peer", |world| world.state(name) == ServerState::Up).await;
        handle
    }

    /// From now on it misbehaves at this port, with everybody who connects anew; whoever was connected is thrown out.
    pub fn turns(&self, port: u16, mischief: Mischief) {
        {
            let mut peer = self.peer.borrow_mut();
            (peer.port, peer.mischief) = (port, Some(mischief));
            peer.said.clear();
        }
        self.throws_everybody_out();
    }

    fn throws_everybody_out(&self) {
        self.world.with(self.name, |pbx, now| {
            pbx.kill(now);
            pbx.restart(now);
        });
    }

    /// From now on it bends what comes, also for those who are connected.
    pub fn bends(&self, port: u16, bend: impl FnMut(u64, Vec<u8>) -> Vec<Wanted> + 'static) {
        let mut peer = self.peer.borrow_mut();
        (peer.port, peer.mischief) = (port, Some(Mischief::Bends(Box::new(bend))));
    }

    /// It behaves again.
    pub fn heals(&self) {
        self.peer.borrow_mut().mischief = None;
    }

    /// Waits for a reason that has these words in it.
    pub async fn down_for(&self, words: &str) {
        let name = self.name.parse().unwrap();
        let told = |world: &World<'_>| {
            let view = world.fleet.board.server(&name);
            view.is_some_and(|view| view.note.as_ref().is_some_and(|note| note.contains(words)))
        };
        self.world.until(&format!("{} is down: {words}", self.name), told).await;
    }

    /// The most bytes that one connection took before we had enough.
    pub fn most_said(&self) -> usize {
        self.peer.borrow().said.values().copied().max().unwrap_or(0)
    }
}

/// While one misbehaves: a call beside it goes its whole way, and who asks for the bad one is answered.
pub async fn life_goes_on_beside(world: &World<'_>, bad: &str, good: &str) {
    let placed = world.place_on("1001", "1002", Some(good)).await.unwrap().id;
    world.until("the call beside talks", |world| world.status(placed) == Status::InProgress).await;
    if let Ok(asked) = world.place_on("1003", "1004", Some(bad)).await {
        // Taken in a good moment: it ends, or it is found again when the server is back.
        world
            .until("the call on the bad one goes somewhere", |world| world.status(asked.id) != Status::Queued)
            .await;
    }
    // Whoever wants to know how it stands is told something.
    let report = world.fleet.control.test_server(bad.parse().unwrap()).await.expect("a test is answered");
    assert!(!report.findings.is_empty());
    world.hang_up(placed).await;
}

/// When it behaves: it is up, and a call on it goes its whole way.
pub async fn it_is_used_again(world: &World<'_>, name: &str) {
    world.until(&format!("{name} is up"), |world| world.state(name) == ServerState::Up).await;
    for call in world.calls().iter().filter(|call| !call.status.is_terminal()) {
        // One that ends in this moment is over as well.
        let _ = world.act(call.id, ifbus_call::Verb::Hangup).await;
    }
    world
        .until("nothing is left over", |world| world.calls().iter().all(|call| call.status.is_terminal()))
        .await;
    let id = world.place_on("1005", "1006", Some(name)).await.unwrap().id;
    world.until("a call talks", |world| world.status(id) == Status::InProgress).await;
    world.hang_up(id).await;
    world.until("no channel is left", |world| world.channels(name) == 0).await;
}

impl Peer {
    fn takes(&self, port: u16) -> bool {
        port == self.port
            && matches!(&self.mischief, Some(mischief) if !matches!(mischief, Mischief::Bends(_)))
    }

    fn say(&mut self, connection: u64, bytes: Vec<u8>) {
        *self.said.entry(connection).or_default() += bytes.len();
        self.out.push_back(Wanted::Bytes(connection, bytes));
    }
}

impl Host for Peer {
    fn opened(&mut self, connection: u64, port: u16, now: Duration) -> bool {
        self.now = now;
        self.ports.insert(connection, port);
        self.connected += usize::from(port == AMI);
        if !self.takes(port) {
            return self.inside.borrow_mut().opened(connection, port, now);
        }
        self.taken.insert(connection, matches!(self.mischief, Some(Mischief::Repeats(..))));
        match &self.mischief {
            Some(Mischief::Says(bytes) | Mischief::Repeats(bytes, _)) => {
                let bytes = bytes.clone();
                self.say(connection, bytes);
            }
            Some(Mischief::SaysAndCloses(bytes)) => {
                let bytes = bytes.clone();
                self.say(connection, bytes);
                self.out.push_back(Wanted::Close(connection));
            }
            Some(Mischief::Bends(_)) | None => {}
        }
        true
    }

    fn bytes(&mut self, connection: u64, bytes: Vec<u8>, now: Duration) {
        self.now = now;
        if self.ports.get(&connection) == Some(&AMI) {
            self.heard.extend_from_slice(&bytes);
        }
        if !self.taken.contains_key(&connection) {
            self.inside.borrow_mut().bytes(connection, bytes, now);
        }
    }

    fn closed(&mut self, connection: u64, now: Duration) {
        self.now = now;
        self.ports.remove(&connection);
        if self.taken.remove(&connection).is_none() {
            self.inside.borrow_mut().closed(connection, now);
        }
    }

    fn datagram(&mut self, port: u16, bytes: &[u8], now: Duration) -> Vec<Vec<u8>> {
        self.inside.borrow_mut().datagram(port, bytes, now)
    }

    fn tick(&mut self, now: Duration) {
        self.now = now;
        if self.inside.borrow().deadline().is_some_and(|due| due <= now) {
            self.inside.borrow_mut().tick(now);
        }
        let again: Vec<u64> = self.taken.iter().filter(|(_, again)| **again).map(|(id, _)| *id).collect();
        for connection in again {
            if let Some(Mischief::Repeats(_, bytes)) = &self.mischief {
                let bytes = bytes.clone();
                self.say(connection, bytes);
            }
        }
    }

    fn poll(&mut self) -> Option<Wanted> {
        loop {
            if let Some(wanted) = self.out.pop_front() {
                return Some(wanted);
            }
            let wanted = self.inside.borrow_mut().poll()?;
            let port = |connection: &u64| self.ports.get(connection).copied();
            match (wanted, &mut self.mischief) {
                (Wanted::Bytes(connection, bytes), Some(Mischief::Bends(bend)))
                    if port(&connection) == Some(self.port) =>
                {
                    self.out.extend(bend(connection, bytes));
                }
                (wanted, _) => return Some(wanted),
            }
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let babbling = self.taken.values().any(|again| *again).then(|| self.now + Duration::from_millis(1));
        self.inside.borrow().deadline().into_iter().chain(babbling).min()
    }
}

/// A WebSocket frame as a server sends it.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => bytes.push(u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            bytes.push(126);
            bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}
