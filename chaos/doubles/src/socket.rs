//! Doubles on real sockets, each on a thread of its own with its own runtime, so that any program can
//! use one, asynchronous or not.
//!
//! Not here: what a double does; that is the machine's ([`crate::double`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::double::{Double, Extensions, Input, Link, Mortal, Output, Reachable};
use crate::faults::Faults;
use crate::phone::{Act, Phones, Plan, Tone};

/// How long a client may take nothing before it is dropped, as a rule (Asterisk: `writetimeout`).
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a port is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
}

/// A port of a double. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Port<Door> {
    /// Which one.
    pub door: Door,
    /// Where.
    pub address: SocketAddr,
    /// How.
    pub transport: Transport,
}

/// A running double. Dropping it stops it.
#[derive(Debug)]
pub struct Server<D: Double> {
    shared: Arc<Shared<D>>,
    addresses: Vec<(D::Door, SocketAddr)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A datagram and whom it goes to.
type Letter = (SocketAddr, Vec<u8>);

#[derive(Debug)]
enum Outgoing {
    Bytes(Vec<u8>),
    Close,
    Reset,
}

#[derive(Debug)]
struct State<D: Double> {
    machine: D,
    lines: BTreeMap<Link, mpsc::UnboundedSender<Outgoing>>,
    datagrams: Vec<(D::Door, mpsc::UnboundedSender<Letter>)>,
    next_link: u64,
}

#[derive(Debug)]
struct Shared<D: Double> {
    state: Mutex<State<D>>,
    zero: Instant,
    /// The deadline may have changed.
    changed: Notify,
    /// Something has happened to the machine.
    moved: watch::Sender<()>,
    /// Whether the ports are to be open, in their order.
    open: watch::Sender<Vec<bool>>,
    doors: Vec<D::Door>,
    write_timeout: Duration,
}

impl<D: Double> Shared<D> {
    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Does something with the machine and carries its output to the connections.
    fn with<T>(&self, work: impl FnOnce(&mut State<D>, Duration) -> T) -> T {
        let mut state = self.lock();
        let result = work(&mut state, self.zero.elapsed());
        while let Some(output) = state.machine.poll() {
            let (link, outgoing, last) = match output {
                Output::Bytes(link, bytes) => (link, Outgoing::Bytes(bytes), false),
                Output::Close(link) => (link, Outgoing::Close, true),
                Output::Reset(link) => (link, Outgoing::Reset, true),
                Output::Datagram(door, to, bytes) => {
                    if let Some((_, port)) = state.datagrams.iter().find(|(of, _)| *of == door) {
                        // A port that is gone is a server that is ending.
                        let _ = port.send((to, bytes));
                    }
                    continue;
                }
            };
            if let Some(line) = state.lines.get(&link) {
                // A connection that is already gone has told the machine, or is about to.
                let _ = line.send(outgoing);
            }
            if last {
                state.lines.remove(&link);
            }
        }
        let open: Vec<bool> = self.doors.iter().map(|door| state.machine.is_open(*door)).collect();
        self.open.send_if_modified(|now| {
            let changes = *now != open;
            *now = open;
            changes
        });
        drop(state);
        self.changed.notify_one();
        self.moved.send_replace(());
        result
    }
}

/// The wall clock, in whole seconds since 1970.
pub(crate) fn wall_clock() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

impl<D: Double> Server<D> {
    /// Serves a machine on these ports.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or the thread cannot be made.
    pub fn serve(
        name: &str,
        machine: D,
        ports: &[Port<D::Door>],
        write_timeout: Duration,
    ) -> io::Result<Self> {
        let bound = ports.iter().map(|port| bind(*port)).collect::<io::Result<Vec<_>>>()?;
        let addresses = bound
            .iter()
            .map(|(door, socket)| Ok((*door, socket.address()?)))
            .collect::<io::Result<Vec<_>>>()?;
        let mut datagrams = Vec::new();
        let mut outgoing = Vec::new();
        for (door, socket) in &bound {
            let (send, receive) = mpsc::unbounded_channel();
            if matches!(socket, Bound::Datagram(_)) {
                datagrams.push((*door, send));
            }
            outgoing.push(receive);
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(State { machine, lines: BTreeMap::new(), datagrams, next_link: 0 }),
            zero: Instant::now(),
            changed: Notify::new(),
            moved: watch::Sender::new(()),
            open: watch::Sender::new(vec![true; bound.len()]),
            doors: bound.iter().map(|(door, _)| *door).collect(),
            write_timeout,
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(format!("{name}-double")).spawn(move || {
            runtime.block_on(async move {
                let mut tasks = JoinSet::new();
                for (index, ((door, socket), outgoing)) in bound.into_iter().zip(outgoing).enumerate() {
                    let shared = Arc::clone(&served);
                    match socket {
                        Bound::Stream(first) => tasks.spawn(async move {
                            // An error is a listener of the standard library that cannot be one of tokio's.
                            let _ = accept(&shared, first, index, door).await;
                        }),
                        Bound::Datagram(socket) => tasks.spawn(async move {
                            let _ = exchange(&shared, socket, index, door, outgoing).await;
                        }),
                    };
                }
                tokio::select! {
                    biased;
                    _ = stopped => {}
                    () = keep_time(&served) => {}
                }
            });
        })?;
        Ok(Server { shared, addresses, stop: Some(stop), thread: Some(thread) })
    }

    /// Where a port is.
    ///
    /// # Panics
    ///
    /// The server was started without it.
    pub fn address(&self, door: D::Door) -> SocketAddr {
        let found = self.addresses.iter().find(|(of, _)| *of == door);
        found.unwrap_or_else(|| panic!("no port for {door:?}")).1
    }

    /// Does something with the machine, at the present time of its clock.
    pub fn with<T>(&self, work: impl FnOnce(&mut D, Duration) -> T) -> T {
        self.shared.with(|state, now| work(&mut state.machine, now))
    }

    /// Reads something from the machine.
    pub fn read<T>(&self, work: impl FnOnce(&D) -> T) -> T {
        work(&self.shared.lock().machine)
    }

    /// Takes something from the machine that is none of its outputs, and of which it need not know.
    pub(crate) fn take<T>(&self, work: impl FnOnce(&mut D) -> T) -> T {
        work(&mut self.shared.lock().machine)
    }

    /// Changes whenever something has happened to the machine.
    pub(crate) fn moved(&self) -> watch::Receiver<()> {
        self.shared.moved.subscribe()
    }

    /// Ends the double and waits for its thread.
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

impl<D: Double> Drop for Server<D> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<D: Mortal> Server<D> {
    /// Changes the faults in force.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        self.with(|machine, now| {
            let mut faults = machine.faults().clone();
            change(&mut faults);
            machine.set_faults(faults, now);
        });
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.faults(|faults| *faults = Faults::default());
    }

    /// Sends random bytes on every connection.
    pub fn garbage(&self) {
        self.with(D::garbage);
    }

    /// Dies as by SIGKILL: connections reset, calls gone, ports closed until [`Server::restart`].
    pub fn kill(&self) {
        self.with(D::kill);
    }

    /// Boots again on the same ports.
    pub fn restart(&self) {
        self.with(D::restart);
    }

    /// Ends gracefully, then as dead as after a kill.
    pub fn shut_down(&self) {
        self.with(D::shut_down);
    }
}

impl<D: Reachable> Server<D> {
    /// A call between two phones that nobody ordered; the server's own name for the caller's leg.
    pub fn foreign_call(&self, from: &str, to: &str) -> String {
        self.with(|machine, now| machine.foreign_call(from, to, now))
    }

    /// A hostile call; whether it was let in.
    pub fn hostile_call(&self, raw_caller: &str) -> bool {
        self.with(|machine, now| machine.hostile_call(raw_caller, now))
    }
}

impl<D: Extensions> Phones for Server<D> {
    fn plan(&self, number: &str, plan: Plan) {
        self.with(|machine, _| machine.plan(number, plan));
    }

    fn heard(&self, number: &str) -> BTreeSet<Tone> {
        self.read(|machine| machine.heard(number))
    }

    fn rings(&self, number: &str) -> u32 {
        self.read(|machine| machine.rings(number))
    }

    fn digits(&self, number: &str) -> String {
        self.read(|machine| machine.digits(number))
    }

    fn live(&self, number: &str) -> usize {
        self.read(|machine| machine.live(number))
    }

    fn caller_seen(&self, number: &str) -> Option<String> {
        self.read(|machine| machine.caller_seen(number))
    }

    fn hang_up(&self, number: &str) {
        self.with(|machine, now| machine.act(number, &Act::HangUp, now));
    }

    fn press(&self, number: &str, digits: &str) {
        self.with(|machine, now| machine.act(number, &Act::Press(digits.to_owned()), now));
    }

    fn transfer(&self, number: &str, to: &str) {
        self.with(|machine, now| machine.transfer(number, to, now));
    }

    fn transfer_attended(&self, number: &str) {
        self.with(|machine, now| machine.transfer_attended(number, now));
    }

    fn transferred(&self, number: &str) -> Option<u16> {
        self.read(|machine| machine.transferred(number))
    }

    fn hold(&self, number: &str) {
        self.with(|machine, now| machine.act(number, &Act::Hold, now));
    }

    fn resume(&self, number: &str) {
        self.with(|machine, now| machine.act(number, &Act::Resume, now));
    }
}

enum Bound {
    Stream(std::net::TcpListener),
    Datagram(std::net::UdpSocket),
}

impl Bound {
    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Stream(listener) => listener.local_addr(),
            Self::Datagram(socket) => socket.local_addr(),
        }
    }
}

fn bind<Door>(port: Port<Door>) -> io::Result<(Door, Bound)> {
    let bound = match port.transport {
        Transport::Stream => {
            let listener = std::net::TcpListener::bind(port.address)?;
            listener.set_nonblocking(true)?;
            Bound::Stream(listener)
        }
        Transport::Datagram => {
            let socket = std::net::UdpSocket::bind(port.address)?;
            socket.set_nonblocking(true)?;
            Bound::Datagram(socket)
        }
    };
    Ok((port.door, bound))
}

/// Accepts on one port while it is to be open.
async fn accept<D: Double>(
    shared: &Arc<Shared<D>>,
    first: std::net::TcpListener,
    index: usize,
    door: D::Door,
) -> io::Result<()> {
    let address = first.local_addr()?;
    let mut open = shared.open.subscribe();
    let mut listener = Some(TcpListener::from_std(first)?);
    loop {
        let wanted = open.borrow_and_update()[index];
        if !wanted {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        let Some(port) = &listener else {
            let _ = tokio::time::timeout(Duration::from_millis(50), open.changed()).await;
            continue;
        };
        tokio::select! {
            biased;
            _ = open.changed() => {}
            accepted = port.accept() => if let Ok((stream, _)) = accepted {
                tokio::spawn(converse(Arc::clone(shared), stream, door));
            },
        }
    }
}

/// Datagrams in and out of one port while it is to be open; what comes while it is closed is lost.
async fn exchange<D: Double>(
    shared: &Arc<Shared<D>>,
    socket: std::net::UdpSocket,
    index: usize,
    door: D::Door,
    mut outgoing: mpsc::UnboundedReceiver<Letter>,
) -> io::Result<()> {
    let socket = UdpSocket::from_std(socket)?;
    let open = shared.open.subscribe();
    let mut buffer = vec![0; 65_536];
    loop {
        tokio::select! {
            biased;
            Some((to, bytes)) = outgoing.recv() => {
                // Lost, as datagrams are.
                let _ = socket.send_to(&bytes, to).await;
            }
            received = socket.recv_from(&mut buffer) => if let Ok((length, from)) = received
                && open.borrow()[index]
            {
                let bytes = buffer[..length].to_vec();
                shared.with(|state, now| state.machine.handle(Input::Datagram(door, from, bytes), now));
            },
        }
    }
}

/// One connection: bytes in to the machine, bytes out to the socket.
async fn converse<D: Double>(shared: Arc<Shared<D>>, stream: TcpStream, door: D::Door) {
    // A test measures single messages: they are not to wait for each other.
    let _ = stream.set_nodelay(true);
    let (send, receive) = mpsc::unbounded_channel();
    let link = shared.with(|state, now| {
        let link = Link(state.next_link);
        state.next_link += 1;
        state.lines.insert(link, send);
        state.machine.handle(Input::Opened(link, door), now);
        link
    });
    let (mut reader, writer) = stream.into_split();
    let read = async {
        let mut buffer = vec![0; 16_384];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            shared
                .with(|state, now| state.machine.handle(Input::Bytes(link, buffer[..length].to_vec()), now));
        }
    };
    tokio::select! {
        biased;
        stalled = write(writer, receive, shared.write_timeout) => if stalled {
            shared.with(|state, now| state.machine.handle(Input::Stalled(link), now));
        },
        () = read => {}
    }
    shared.with(|state, now| {
        state.lines.remove(&link);
        state.machine.handle(Input::Closed(link), now);
    });
}

/// Writes until told to close; true when the client takes nothing any more.
async fn write(
    mut writer: tokio::net::tcp::OwnedWriteHalf,
    mut receive: mpsc::UnboundedReceiver<Outgoing>,
    write_timeout: Duration,
) -> bool {
    while let Some(outgoing) = receive.recv().await {
        match outgoing {
            Outgoing::Bytes(bytes) => {
                match tokio::time::timeout(write_timeout, writer.write_all(&bytes)).await {
                    Err(_) => return true,
                    Ok(Err(_)) => return false,
                    Ok(Ok(())) => {}
                }
            }
            Outgoing::Close => {
                let _ = writer.shutdown().await;
                return false;
            }
            Outgoing::Reset => {
                let _ = writer.as_ref().set_zero_linger();
                return false;
            }
        }
    }
    false
}

/// Ticks the machine when it wants to be ticked.
async fn keep_time<D: Double>(shared: &Shared<D>) {
    loop {
        let deadline = shared.lock().machine.deadline();
        let sleep = async {
            match deadline {
                Some(due) => tokio::time::sleep_until((shared.zero + due).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.changed.notified() => {}
            () = sleep => shared.with(|state, now| state.machine.handle(Input::Tick, now)),
        }
    }
}
