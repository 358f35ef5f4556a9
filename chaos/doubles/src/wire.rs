//! The last stage before the socket: where reply and transport faults are applied.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::double::{Link, Output};
use crate::faults::Faults;
use crate::random::Random;

#[derive(Debug)]
enum Item {
    Bytes(Vec<u8>),
    Close,
}

#[derive(Debug)]
struct Line<Door> {
    door: Door,
    /// Nothing may overtake what is due then.
    tail: Duration,
    closing: bool,
}

/// All connections, as far as sending goes.
#[derive(Debug)]
pub(crate) struct Wire<Door> {
    lines: BTreeMap<Link, Line<Door>>,
    delayed: BTreeMap<(Duration, u64), (Link, Item)>,
    ticket: u64,
    out: VecDeque<Output<Door>>,
    pub(crate) random: Random,
    pub(crate) faults: Faults,
}

impl<Door: Copy + Eq> Wire<Door> {
    pub(crate) fn new(seed: u64) -> Self {
        Wire {
            lines: BTreeMap::new(),
            delayed: BTreeMap::new(),
            ticket: 0,
            out: VecDeque::new(),
            random: Random::new(seed ^ 0x5eed),
            faults: Faults::default(),
        }
    }

    pub(crate) fn opened(&mut self, link: Link, door: Door) {
        self.lines.insert(link, Line { door, tail: Duration::ZERO, closing: false });
    }

    pub(crate) fn closed(&mut self, link: Link) {
        self.lines.remove(&link);
        self.delayed.retain(|_, (other, _)| *other != link);
    }

    pub(crate) fn links(&self, door: Option<Door>) -> Vec<Link> {
        self.lines
            .iter()
            .filter(|(_, line)| door.is_none_or(|d| d == line.door))
            .map(|(link, _)| *link)
            .collect()
    }

    /// A reply: may be lost, doubled or late.
    pub(crate) fn reply(&mut self, link: Link, bytes: Vec<u8>, now: Duration) {
        if self.random.chance(self.faults.lose_replies) {
            return;
        }
        let due = now + self.faults.late.unwrap_or_default();
        if self.random.chance(self.faults.duplicate_replies) {
            self.send(link, bytes.clone(), due);
        }
        self.send(link, bytes, due);
    }

    /// Something that nobody asked for: may come twice.
    pub(crate) fn event(&mut self, link: Link, bytes: Vec<u8>, now: Duration) {
        if self.random.chance(self.faults.double_events) {
            self.send(link, bytes.clone(), now);
        }
        self.send(link, bytes, now);
    }

    fn send(&mut self, link: Link, mut bytes: Vec<u8>, due: Duration) {
        if bytes.is_empty() || self.lines.get(&link).is_none_or(|line| line.closing) {
            return;
        }
        if std::mem::take(&mut self.faults.cut_next) {
            bytes.truncate(bytes.len() / 2);
            self.put(link, Item::Bytes(bytes), due);
            return self.close(link, due);
        }
        match self.faults.slow {
            None => self.put(link, Item::Bytes(bytes), due),
            Some(step) => {
                for byte in bytes {
                    let due = due.max(self.lines[&link].tail) + step;
                    self.put(link, Item::Bytes(vec![byte]), due);
                }
            }
        }
    }

    fn put(&mut self, link: Link, item: Item, due: Duration) {
        let Some(line) = self.lines.get_mut(&link) else { return };
        line.tail = line.tail.max(due);
        self.ticket += 1;
        self.delayed.insert((line.tail, self.ticket), (link, item));
    }

    /// Closes after what is on its way.
    pub(crate) fn close(&mut self, link: Link, now: Duration) {
        if self.lines.get(&link).is_some_and(|line| !line.closing) {
            self.put(link, Item::Close, now);
            if let Some(line) = self.lines.get_mut(&link) {
                line.closing = true;
            }
        }
    }

    /// Closes at once, with a reset.
    pub(crate) fn reset(&mut self, link: Link) {
        self.closed(link);
        self.out.push_back(Output::Reset(link));
    }

    /// Random bytes to every connection.
    pub(crate) fn garbage(&mut self, now: Duration) {
        for link in self.links(None) {
            let length = 20 + self.random.below(200);
            let bytes = (0..length).map(|_| self.random.next() as u8).collect();
            self.send(link, bytes, now);
        }
    }

    /// Moves what is due to the output.
    pub(crate) fn release(&mut self, now: Duration) {
        if self.faults.cut_off() {
            return;
        }
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                (link, Item::Bytes(bytes)) => match self.out.back_mut() {
                    // Several messages may share a segment.
                    Some(Output::Bytes(last, buffer)) if *last == link && self.faults.slow.is_none() => {
                        buffer.extend(bytes)
                    }
                    _ => self.out.push_back(Output::Bytes(link, bytes)),
                },
                (link, Item::Close) => {
                    self.lines.remove(&link);
                    self.out.push_back(Output::Close(link));
                }
            }
        }
    }

    /// A datagram; lost while nothing goes out.
    pub(crate) fn datagram(&mut self, door: Door, to: SocketAddr, bytes: Vec<u8>) {
        if !self.faults.cut_off() {
            self.out.push_back(Output::Datagram(door, to, bytes));
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Output<Door>> {
        self.out.pop_front()
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        if self.faults.cut_off() {
            return None;
        }
        self.delayed.first_key_value().map(|((due, _), _)| *due)
    }
}
