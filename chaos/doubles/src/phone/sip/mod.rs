//! SIP phones: a sans-IO user agent that serves every number on a few addresses, and calls by itself
//! when told to. Its shell is [`crate::phone::shell`].
//!
//! A server without a SIP stack of its own places its calls here, as lines ([`super::line`]).
//!
//! It transfers by REFER, blind or attended. It takes INVITE (also without an offer), re-INVITE, UPDATE, ACK, CANCEL, BYE, OPTIONS, INFO and NOTIFY;
//! retransmits what must be, answers what is retransmitted; follows record routes. It does not register,
//! authenticate, or speak any codec but PCMU.
//!
//! # Contract
//!
//! [`SipPhones::handle`] takes one [`Input`] with the time; then [`SipPhones::poll`] until nothing more;
//! [`SipPhones::deadline`] says when [`Input::Tick`] is due. [`Output::OpenMedia`] must be carried out
//! before the datagram that follows it, because that names the port.

mod audio;
mod incoming;
mod line;
mod message;
mod outgoing;
mod sdp;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::line::{FarEnd, Line};
use super::plan::{Act, Plan};
use super::tone::Tone;
use crate::random::Random;
use audio::Audio;
use line::Ear;
pub(crate) use message::address;
use message::{Message, Start};

/// What the shell tells the phones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A SIP datagram arrived.
    Sip {
        /// Our address it came to.
        local: SocketAddr,
        /// Where it came from.
        from: SocketAddr,
        /// What it says.
        bytes: Vec<u8>,
    },
    /// A packet arrived at a media port.
    Media {
        /// The port.
        port: u16,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// Time has passed.
    Tick,
}

/// What the phones want done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a SIP datagram.
    Sip {
        /// From this address of ours.
        local: SocketAddr,
        /// To this one.
        to: SocketAddr,
        /// Saying this.
        bytes: Vec<u8>,
    },
    /// Open a media port.
    OpenMedia(SocketAddr),
    /// Close it.
    CloseMedia(u16),
    /// Send a packet from a media port.
    Media {
        /// The port.
        port: u16,
        /// To this address.
        to: SocketAddr,
        /// The packet.
        bytes: Vec<u8>,
    },
}

/// Media ports are taken from this range in turn, even ones only.
const PORTS: std::ops::Range<u16> = 20_000..40_000;
/// The same of lines, which are a server's (as the servers have it from the start).
const LINE_PORTS: std::ops::Range<u16> = 10_000..20_000;
/// Waits between repetitions begin with T1, double, and end at T2; SIP gives up after 64 * T1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(32);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Timer {
    Ring,
    Progress,
    Answer,
    Refuse(u16),
    Act(Act),
    /// The final response is repeated until its ACK comes: last wait, and when to give up.
    Repeat(Duration, Duration),
    /// Our request is repeated until it is answered: its CSeq, last wait, when to give up.
    RepeatRequest(u32, Duration, Duration),
    /// A hold that met the other side's re-INVITE is tried again.
    HoldAgain,
    Media,
    Forget,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Invited, undecided.
    Invited,
    /// We call.
    Calling,
    Answered,
    /// Refused, canceled or ended: waits for the last acknowledgement.
    Over,
}

/// One dialog.
#[derive(Debug)]
struct Call {
    number: String,
    phase: Phase,
    call_id: String,
    /// From and To of our own requests, tags included.
    us: String,
    them: String,
    tag: String,
    target: String,
    route: Vec<String>,
    /// Our address, and where requests go.
    local: SocketAddr,
    hop: SocketAddr,
    cseq: u32,
    /// The INVITE being served and what it was last told.
    invite: Option<Message>,
    told: Option<(u16, Vec<u8>)>,
    acknowledged: bool,
    /// Our request that waits for an answer.
    asked: Option<Message>,
    port: u16,
    audio: Audio,
    plan: Plan,
    sdp_version: u32,
    holds: bool,
    /// We have taken it back before it was answered.
    dropped: bool,
    /// It is a line, and somebody hears what is said in it.
    line: Option<Ear>,
    /// CSeq of the last digit that came by INFO.
    informed: u32,
}

impl Call {
    /// Whether we send and whether we take audio. A phone says so as it likes, a line goes along with its far end.
    fn direction(&self) -> (bool, bool) {
        if self.line.is_some() { self.audio.far_end() } else { (true, !self.holds) }
    }
}

#[derive(Debug, Default)]
struct Witness {
    rings: u32,
    digits: String,
    caller: Option<String>,
    transferred: Option<u16>,
}

/// The machine.
#[derive(Debug)]
pub struct SipPhones {
    now: Duration,
    random: Random,
    plans: BTreeMap<String, Plan>,
    /// What phones do that nobody planned for.
    usual: Plan,
    witnesses: BTreeMap<String, Witness>,
    calls: BTreeMap<u64, Call>,
    by_call_id: BTreeMap<String, u64>,
    by_port: BTreeMap<u16, u64>,
    timers: BTreeMap<(Duration, u64), (u64, Timer)>,
    next: u64,
    ports: std::ops::Range<u16>,
    next_port: u16,
    /// Nothing sounds: what is tested is how many calls there are.
    silent: bool,
    out: VecDeque<Output>,
    news: VecDeque<(Line, FarEnd)>,
}

impl SipPhones {
    /// Phones that nobody has called yet.
    pub fn new(seed: u64) -> Self {
        SipPhones::on_ports(seed, PORTS)
    }

    /// A user agent for lines alone: nobody can be called there.
    pub fn for_lines(seed: u64) -> Self {
        SipPhones { usual: Plan::not_found(), ..SipPhones::on_ports(seed, LINE_PORTS) }
    }

    fn on_ports(seed: u64, ports: std::ops::Range<u16>) -> Self {
        SipPhones {
            now: Duration::ZERO,
            random: Random::new(seed),
            plans: BTreeMap::new(),
            usual: Plan::default(),
            witnesses: BTreeMap::new(),
            calls: BTreeMap::new(),
            by_call_id: BTreeMap::new(),
            by_port: BTreeMap::new(),
            timers: BTreeMap::new(),
            next: 0,
            next_port: ports.start,
            ports,
            silent: false,
            out: VecDeque::new(),
            news: VecDeque::new(),
        }
    }

    /// Whether calls that begin from now on are without sound and media ports, so that there can be very many.
    pub fn silence(&mut self, on: bool) {
        self.silent = on;
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Duration) {
        self.now = self.now.max(now);
        match input {
            Input::Sip { local, from, bytes } => {
                if let Some(message) = Message::parse(&bytes) {
                    match message.start {
                        Start::Request { .. } => self.request(local, from, message),
                        Start::Response { status } => self.answered(status, &message),
                    }
                }
            }
            Input::Media { port, bytes } => self.media(port, &bytes),
            Input::Tick => {}
        }
        self.run_due();
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to come back at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((due, _), _)| *due)
    }

    fn run_due(&mut self) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (id, timer) = entry.remove();
            if self.calls.contains_key(&id) {
                self.due(id, timer);
            }
        }
    }

    fn due(&mut self, id: u64, timer: Timer) {
        match timer {
            Timer::Ring => self.tell(id, 180, false),
            Timer::Progress => self.tell(id, 183, true),
            Timer::Answer => self.answer(id),
            Timer::Refuse(status) => self.refuse(id, status),
            Timer::Act(act) => self.act_in(id, &act),
            Timer::Repeat(wait, until) => self.repeat(id, wait, until),
            Timer::RepeatRequest(cseq, wait, until) => self.repeat_request(id, cseq, wait, until),
            Timer::HoldAgain => self.offer_hold(id),
            Timer::Media => self.play(id),
            Timer::Forget => self.forget(id),
        }
    }

    fn after(&mut self, id: u64, delay: Duration, timer: Timer) {
        self.next += 1;
        self.timers.insert((self.now + delay, self.next), (id, timer));
    }

    fn send(&mut self, local: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.out.push_back(Output::Sip { local, to, bytes });
    }

    fn media(&mut self, port: u16, bytes: &[u8]) {
        let now = self.now;
        let Some(call) = self.by_port.get(&port).and_then(|id| self.calls.get_mut(id)) else { return };
        let Some(digit) = call.audio.receive(bytes, now) else { return };
        if let Some(ear) = &call.line {
            self.news.push_back((ear.line, FarEnd::Digit(digit)));
        } else {
            let number = call.number.clone();
            self.witnesses.entry(number).or_default().digits.push(digit);
        }
    }

    fn play(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if self.silent || call.phase == Phase::Over {
            return;
        }
        if let Some((to, bytes)) = call.audio.next_packet() {
            self.out.push_back(Output::Media { port: call.port, to, bytes });
        }
        self.hearken(id);
        self.after(id, audio::PACKET, Timer::Media);
    }

    /// Registers a call; its media port is open from now on.
    fn enter(&mut self, mut call: Call) -> u64 {
        self.next += 1;
        let id = self.next;
        let after = |port: u16| if port + 2 < self.ports.end { port + 2 } else { self.ports.start };
        while self.by_port.contains_key(&self.next_port) {
            self.next_port = after(self.next_port);
        }
        call.port = self.next_port;
        self.next_port = after(self.next_port);
        if !self.silent {
            self.out.push_back(Output::OpenMedia(SocketAddr::new(call.local.ip(), call.port)));
        }
        self.by_port.insert(call.port, id);
        self.by_call_id.insert(call.call_id.clone(), id);
        self.calls.insert(id, call);
        id
    }

    /// The call is over; it is kept until the last acknowledgement.
    fn end(&mut self, id: u64) {
        self.say_over(id);
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.phase != Phase::Over) else { return };
        call.phase = Phase::Over;
        let port = call.port;
        self.by_port.remove(&port);
        self.out.push_back(Output::CloseMedia(port));
        self.after(id, GIVE_UP, Timer::Forget);
    }

    fn forget(&mut self, id: u64) {
        self.end(id);
        if let Some(call) = self.calls.remove(&id) {
            self.by_call_id.remove(&call.call_id);
        }
    }

    fn of_number(&self, number: &str) -> Vec<u64> {
        self.calls.iter().filter(|(_, call)| call.number == number).map(|(id, _)| *id).collect()
    }
}

/// The phones, by number.
impl SipPhones {
    /// What the phone does with calls from now on.
    pub fn plan(&mut self, number: &str, plan: Plan) {
        self.plans.insert(number.to_owned(), plan);
    }

    /// Tones of the last 300 ms in all calls of the phone.
    pub fn heard(&mut self, number: &str, now: Duration) -> BTreeSet<Tone> {
        let calls =
            self.calls.values_mut().filter(|call| call.number == number && call.phase == Phase::Answered);
        calls.flat_map(|call| call.audio.tones(now)).collect()
    }

    /// Invitations that reached the phone.
    pub fn rings(&self, number: &str) -> u32 {
        self.witnesses.get(number).map_or(0, |w| w.rings)
    }

    /// Digits received.
    pub fn digits(&self, number: &str) -> String {
        self.witnesses.get(number).map(|w| w.digits.clone()).unwrap_or_default()
    }

    /// From user of the last invitation.
    pub fn caller_seen(&self, number: &str) -> Option<String> {
        self.witnesses.get(number)?.caller.clone()
    }

    /// Answered calls.
    pub fn live(&self, number: &str) -> usize {
        self.calls.values().filter(|call| call.number == number && call.phase == Phase::Answered).count()
    }

    /// Call-IDs of the calls that are answered: what somebody sees who reads along.
    pub fn call_ids(&self) -> Vec<String> {
        let answered = self.calls.values().filter(|call| call.phase == Phase::Answered);
        answered.map(|call| call.call_id.clone()).collect()
    }

    /// The phone does something in all its calls.
    pub fn act(&mut self, number: &str, act: &Act, now: Duration) {
        self.now = self.now.max(now);
        for id in self.of_number(number) {
            self.act_in(id, act);
        }
    }

    fn act_in(&mut self, id: u64, act: &Act) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match (act, call.phase) {
            (Act::HangUp, Phase::Invited) => self.refuse(id, 486),
            (Act::HangUp, Phase::Calling) => self.cancel(id),
            (Act::HangUp, Phase::Answered) => self.bye(id),
            (Act::Press(digits), Phase::Answered) => call.audio.press(digits),
            (Act::Hold, Phase::Answered) => self.hold(id, true),
            (Act::Resume, Phase::Answered) => self.hold(id, false),
            _ => {}
        }
    }
}
