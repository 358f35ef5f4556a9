//! SIP phones on real sockets, on a thread of their own; and one hostile caller.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle as Task;

use super::line::{FarEnd, Line, Order};
use super::sip::{Input, Output, SipPhones};
use super::{Act, Phones, Plan, Tone};

/// Phones that any SIP server can call. Dropping it ends them, without a BYE.
#[derive(Debug)]
pub struct SipServer {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    machine: Mutex<SipPhones>,
    zero: Instant,
    /// There may be output, or an earlier deadline.
    changed: Notify,
    /// There is news of lines.
    news: Notify,
    /// Nothing comes in and nothing goes out.
    deaf: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, SipPhones> {
        self.machine.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn with<T>(&self, work: impl FnOnce(&mut SipPhones, Duration) -> T) -> T {
        let result = work(&mut self.lock(), self.zero.elapsed());
        self.changed.notify_one();
        result
    }
}

impl SipServer {
    /// Serves every number on these addresses, for instance one for phones and one for a trunk. Media is
    /// on the same addresses, ports 20000 to 40000.
    ///
    /// # Errors
    ///
    /// When an address cannot be bound or the thread cannot be made.
    pub fn start(addresses: &[SocketAddr]) -> io::Result<Self> {
        SipServer::serve(addresses, SipPhones::new(fresh()))
    }

    /// Carries the lines of a server from this address; whoever calls there is told that nobody is known.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound or the thread cannot be made.
    pub(crate) fn for_lines(address: SocketAddr) -> io::Result<Self> {
        SipServer::serve(&[address], SipPhones::for_lines(fresh()))
    }

    fn serve(addresses: &[SocketAddr], machine: SipPhones) -> io::Result<Self> {
        let sockets: Vec<UdpSocket> =
            addresses.iter().map(|address| bind(*address)).collect::<io::Result<_>>()?;
        let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<Vec<_>>>()?;
        let shared = Arc::new(Shared {
            machine: Mutex::new(machine),
            zero: Instant::now(),
            changed: Notify::new(),
            news: Notify::new(),
            deaf: AtomicBool::new(false),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let bound = addresses.clone();
        let thread = std::thread::Builder::new().name("sip-phones".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    biased;
                    _ = stopped => {}
                    _ = serve(&served, sockets, &bound) => {}
                }
            });
        })?;
        Ok(SipServer { shared, addresses, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the phones listen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The phone of `number` calls `to` through `server`.
    pub fn call(&self, number: &str, to: &str, server: SocketAddr) {
        let local = self.addresses[0];
        self.shared.with(|machine, now| machine.call(number, to, server, local, now));
    }

    /// Call-IDs of the calls that are answered: what somebody sees who reads along.
    pub fn call_ids(&self) -> Vec<String> {
        self.shared.lock().call_ids()
    }

    /// The phone asks the far end of its first answered call to do what this `Refer-To` says, whatever it is.
    pub fn transfer_as(&self, number: &str, to: &str) {
        self.shared.with(|machine, now| machine.transfer_as(number, to, now));
    }

    /// The far end of the phone's first answered call, to be called in place of that call: a `Refer-To`.
    pub fn consulted(&self, number: &str) -> Option<String> {
        self.shared.lock().consulted(number)
    }

    /// Carries out an order about a line.
    pub(crate) fn carry_out(&self, order: Order) {
        let local = self.addresses[0];
        self.shared.with(|machine, now| machine.carry_out(order, local, now));
    }

    /// The next thing that the far end of a line did.
    pub(crate) fn line_news(&self) -> Option<(Line, FarEnd)> {
        self.shared.lock().line_news()
    }

    /// There may be news of lines.
    pub(crate) async fn has_line_news(&self) {
        self.shared.news.notified().await;
    }

    /// From now on everything that comes in or goes out is lost, or no longer.
    pub(crate) fn deafen(&self, deaf: bool) {
        self.shared.deaf.store(deaf, Ordering::Relaxed);
    }

    /// Ends the phones and waits for their thread.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for SipServer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Phones for SipServer {
    fn plan(&self, number: &str, plan: Plan) {
        self.shared.lock().plan(number, plan);
    }

    fn heard(&self, number: &str) -> BTreeSet<Tone> {
        self.shared.with(|machine, now| machine.heard(number, now))
    }

    fn rings(&self, number: &str) -> u32 {
        self.shared.lock().rings(number)
    }

    fn digits(&self, number: &str) -> String {
        self.shared.lock().digits(number)
    }

    fn live(&self, number: &str) -> usize {
        self.shared.lock().live(number)
    }

    fn caller_seen(&self, number: &str) -> Option<String> {
        self.shared.lock().caller_seen(number)
    }

    fn silence(&self, on: bool) {
        self.shared.lock().silence(on);
    }

    fn hang_up(&self, number: &str) {
        self.shared.with(|machine, now| machine.act(number, &Act::HangUp, now));
    }

    fn press(&self, number: &str, digits: &str) {
        self.shared.with(|machine, now| machine.act(number, &Act::Press(digits.to_owned()), now));
    }

    fn transfer(&self, number: &str, to: &str) {
        self.shared.with(|machine, now| machine.transfer(number, to, now));
    }

    fn transfer_attended(&self, number: &str) {
        self.shared.with(|machine, now| machine.transfer_attended(number, now));
    }

    fn transferred(&self, number: &str) -> Option<u16> {
        self.shared.lock().transferred(number)
    }

    fn hold(&self, number: &str) {
        self.shared.with(|machine, now| machine.act(number, &Act::Hold, now));
    }

    fn resume(&self, number: &str) {
        self.shared.with(|machine, now| machine.act(number, &Act::Resume, now));
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The sockets of the phones, each with a task that reads it.
struct Sockets {
    sip: BTreeMap<SocketAddr, Arc<tokio::net::UdpSocket>>,
    media: BTreeMap<u16, (Arc<tokio::net::UdpSocket>, Task<()>)>,
}

async fn serve(shared: &Arc<Shared>, sockets: Vec<UdpSocket>, addresses: &[SocketAddr]) -> io::Result<()> {
    let mut open = Sockets { sip: BTreeMap::new(), media: BTreeMap::new() };
    for (socket, local) in sockets.into_iter().zip(addresses.iter().copied()) {
        let socket = Arc::new(tokio::net::UdpSocket::from_std(socket)?);
        open.sip.insert(local, Arc::clone(&socket));
        tokio::spawn(read(Arc::clone(shared), socket, move |from, bytes| Input::Sip { local, from, bytes }));
    }
    loop {
        let deadline = shared.lock().deadline();
        let sleep = async {
            match deadline {
                Some(due) => tokio::time::sleep_until((shared.zero + due).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.changed.notified() => {}
            () = sleep => shared.lock().handle(Input::Tick, shared.zero.elapsed()),
        }
        loop {
            let Some(output) = shared.lock().poll() else { break };
            open.carry_out(shared, output);
        }
        if shared.lock().has_line_news() {
            shared.news.notify_one();
        }
    }
}

/// Reads datagrams until the socket breaks.
async fn read(
    shared: Arc<Shared>,
    socket: Arc<tokio::net::UdpSocket>,
    input: impl Fn(SocketAddr, Vec<u8>) -> Input,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok(_) if shared.deaf.load(Ordering::Relaxed) => {}
            Ok((length, from)) => {
                let input = input(from, buffer[..length].to_vec());
                shared.with(|machine, now| machine.handle(input, now));
            }
            // An ICMP refusal of something sent earlier; the socket itself is sound.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => return,
        }
    }
}

impl Sockets {
    fn carry_out(&mut self, shared: &Arc<Shared>, output: Output) {
        let deaf = shared.deaf.load(Ordering::Relaxed);
        // A datagram that the kernel does not take is lost, as datagrams are.
        match output {
            Output::Sip { .. } | Output::Media { .. } if deaf => {}
            Output::Sip { local, to, bytes } => {
                if let Some(socket) = self.sip.get(&local) {
                    let _ = socket.try_send_to(&bytes, to);
                }
            }
            Output::Media { port, to, bytes } => {
                if let Some((socket, _)) = self.media.get(&port) {
                    let _ = socket.try_send_to(&bytes, to);
                }
            }
            Output::OpenMedia(address) => {
                let Ok(socket) = bind(address).and_then(tokio::net::UdpSocket::from_std) else { return };
                let socket = Arc::new(socket);
                let port = address.port();
                let reader = read(Arc::clone(shared), Arc::clone(&socket), move |_, bytes| Input::Media {
                    port,
                    bytes,
                });
                self.media.insert(port, (socket, tokio::spawn(reader)));
            }
            Output::CloseMedia(port) => {
                if let Some((_, reader)) = self.media.remove(&port) {
                    reader.abort();
                }
            }
        }
    }
}

/// Places one hostile call and stays in it for a while: an INVITE from `from` to `extension` at `server`
/// whose From user is `raw_caller`, with everything but letters and digits percent-encoded, so that line
/// ends reach the server as SIP allows (sheet section 11). Gives the final status; blocks meanwhile.
///
/// # Errors
///
/// When a socket fails or the server says nothing final within 10 s.
pub fn attack(
    from: SocketAddr,
    server: SocketAddr,
    raw_caller: &str,
    extension: &str,
    stay: Duration,
) -> io::Result<u16> {
    let raw_user: String = raw_caller.bytes().map(escaped).collect();
    let socket = UdpSocket::bind(from)?;
    let local = socket.local_addr()?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let id = format!("{:016x}", fresh());
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0\r\n",
        ip = local.ip()
    );
    let message = |method: &str, cseq: u32, branch: u32, way: &Way, body: &str| {
        let Way { target, route, to } = way;
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{id}-{branch};rport\r\n{route}\
             Max-Forwards: 70\r\nFrom: <sip:{raw_user}@{local}>;tag={id}\r\nTo: {to}\r\nCall-ID: {id}@attack\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:x@{local}>\r\n{kind}Content-Length: {length}\r\n\r\n{body}",
            kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" },
            length = body.len(),
        )
    };
    let target = format!("sip:{extension}@{server}");
    let first = Way { to: format!("<{target}>"), target, route: String::new() };
    socket.send_to(message("INVITE", 1, 1, &first, &sdp).as_bytes(), server)?;
    let (status, inside) = final_response(&socket, " INVITE")?;
    if status < 300 {
        socket.send_to(message("ACK", 1, 2, &inside, "").as_bytes(), server)?;
        std::thread::sleep(stay);
        socket.send_to(message("BYE", 2, 3, &inside, "").as_bytes(), server)?;
        final_response(&socket, " BYE")?;
    } else {
        let refused = Way { to: inside.to, ..first };
        socket.send_to(message("ACK", 1, 1, &refused, "").as_bytes(), server)?;
    }
    Ok(status)
}

/// A number that no other phones and callers have, of this process or another: a server takes a Call-ID that it saw
/// before for a repetition (RFC 3261 section 17.2.3).
fn fresh() -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    now ^ (u64::from(std::process::id()) << 32) ^ made.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn escaped(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") }
}

/// Where a request goes and to whom.
struct Way {
    target: String,
    /// `Route` lines, whole.
    route: String,
    to: String,
}

/// The final response to a method: its status, and how a request inside of the call goes (RFC 3261 section 12.1.2): some proxies answer nothing that comes
/// in another way.
fn final_response(socket: &UdpSocket, method: &str) -> io::Result<(u16, Way)> {
    let mut buffer = [0; 65_536];
    loop {
        let (length, _) = socket.recv_from(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let header = |name: &str| {
            let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim()).to_owned()
        };
        let status =
            text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|s| s.parse().ok());
        if let Some(status) = status.filter(|status| *status >= 200)
            && header("cseq:").ends_with(method)
        {
            let contact = header("contact:");
            let target = contact.split(['<', '>']).find(|part| part.starts_with("sip:")).unwrap_or_default();
            let records = text.lines().filter_map(|line| {
                line.get(..13)
                    .filter(|name| name.eq_ignore_ascii_case("record-route:"))
                    .map(|_| line[13..].trim())
            });
            let records: Vec<String> = records.map(|record| format!("Route: {record}\r\n")).collect();
            let route = records.into_iter().rev().collect();
            return Ok((status, Way { target: target.to_owned(), route, to: header("to:") }));
        }
    }
}
