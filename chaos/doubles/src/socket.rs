//! Doubles on real sockets, each on a thread of its own with its own runtime, so that any program can
//! use one, asynchronous or not.
//!
//! Not here: what a double does; that is the machine's ([`crate::asterisk`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::asterisk::{Asterisk, Door, Faults, Input, Link, Options, Output, Stats};
use crate::phone::{Act, Phones, Plan, Tone};

/// Where a double listens. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address of both.
    pub ip: IpAddr,
    /// AMI port.
    pub ami: u16,
    /// HTTP port.
    pub http: u16,
    /// How long a client may take nothing before it is dropped (`writetimeout`).
    pub write_timeout: Duration,
}

impl Default for Bind {
    fn default() -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Bind { ip, ami: 0, http: 0, write_timeout: Duration::from_secs(1) }
    }
}

impl Bind {
    /// This address with the ports of an installed server, 5038 and 8088.
    pub fn standard(ip: IpAddr) -> Self {
        Bind { ip, ami: 5038, http: 8088, ..Bind::default() }
    }
}

/// A running Asterisk double. Dropping it stops it.
#[derive(Debug)]
pub struct AsteriskServer {
    shared: Arc<Shared>,
    ami: SocketAddr,
    http: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Outgoing {
    Bytes(Vec<u8>),
    Close,
    Reset,
}

#[derive(Debug)]
struct State {
    machine: Asterisk,
    lines: BTreeMap<Link, mpsc::UnboundedSender<Outgoing>>,
    next_link: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    zero: Instant,
    /// The deadline may have changed.
    changed: Notify,
    /// Whether the ports are to be open: AMI, HTTP.
    open: watch::Sender<(bool, bool)>,
    write_timeout: Duration,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Does something with the machine and carries its output to the connections.
    fn with<T>(&self, work: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.lock();
        let result = work(&mut state, self.zero.elapsed());
        while let Some(output) = state.machine.poll() {
            let (link, outgoing, last) = match output {
                Output::Bytes(link, bytes) => (link, Outgoing::Bytes(bytes), false),
                Output::Close(link) => (link, Outgoing::Close, true),
                Output::Reset(link) => (link, Outgoing::Reset, true),
            };
            if let Some(line) = state.lines.get(&link) {
                // A connection that is already gone has told the machine, or is about to.
                let _ = line.send(outgoing);
            }
            if last {
                state.lines.remove(&link);
            }
        }
        let faults = state.machine.faults();
        let up = !state.machine.is_down() && !faults.refuse;
        let open = (up, up && faults.ari != crate::asterisk::AriState::Closed);
        self.open.send_if_modified(|now| std::mem::replace(now, open) != open);
        drop(state);
        self.changed.notify_one();
        result
    }
}

impl AsteriskServer {
    /// Starts a double. The wall clock of `options` is set to the real one.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or the thread cannot be made.
    pub fn start(bind: Bind, mut options: Options) -> io::Result<Self> {
        options.wall =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(options.wall, |since| since.as_secs());
        let listeners =
            [listen(SocketAddr::new(bind.ip, bind.ami))?, listen(SocketAddr::new(bind.ip, bind.http))?];
        let (ami, http) = (listeners[0].local_addr()?, listeners[1].local_addr()?);
        let state =
            State { machine: Asterisk::new(options, Duration::ZERO), lines: BTreeMap::new(), next_link: 0 };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            zero: Instant::now(),
            changed: Notify::new(),
            open: watch::Sender::new((true, true)),
            write_timeout: bind.write_timeout,
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("asterisk-double".into()).spawn(move || {
            runtime.block_on(async move {
                let [ami, http] = listeners;
                tokio::select! {
                    biased;
                    _ = stopped => {}
                    _ = accept(&served, ami, Door::Ami) => {}
                    _ = accept(&served, http, Door::Http) => {}
                    () = keep_time(&served) => {}
                }
            });
        })?;
        Ok(AsteriskServer { shared, ami, http, stop: Some(stop), thread: Some(thread) })
    }

    /// Where AMI listens.
    pub fn ami(&self) -> SocketAddr {
        self.ami
    }

    /// Where HTTP listens.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Changes the faults in force.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        self.shared.with(|state, now| {
            let mut faults = state.machine.faults().clone();
            change(&mut faults);
            state.machine.set_faults(faults, now);
        });
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.faults(|faults| *faults = Faults::default());
    }

    /// Sends random bytes on every connection.
    pub fn garbage(&self) {
        self.shared.with(|state, now| state.machine.garbage(now));
    }

    /// Dies as by SIGKILL: connections reset, calls gone, ports closed until [`AsteriskServer::restart`].
    pub fn kill(&self) {
        self.shared.with(|state, now| state.machine.kill(now));
    }

    /// Boots again on the same ports.
    pub fn restart(&self) {
        self.shared.with(|state, now| state.machine.restart(now));
    }

    /// Ends gracefully: calls hung up, `Event: Shutdown` after a second, then as dead as after a kill.
    pub fn shut_down(&self) {
        self.shared.with(|state, now| state.machine.shut_down(now));
    }

    /// See [`Asterisk::refuse_actions`].
    pub fn refuse_actions(&self, refuse: bool) {
        self.shared.lock().machine.refuse_actions(refuse);
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        self.shared.lock().machine.stats()
    }

    /// A call between two phones that nobody ordered; the caller's channel id.
    pub fn foreign_call(&self, from: &str, to: &str) -> String {
        self.shared.with(|state, now| state.machine.foreign_call(from, to, now))
    }

    /// A hostile call; see [`Asterisk::hostile_call`].
    pub fn hostile_call(&self, raw_caller: &str) -> String {
        self.shared.with(|state, now| state.machine.hostile_call(raw_caller, now))
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

impl Drop for AsteriskServer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Phones for AsteriskServer {
    fn plan(&self, number: &str, plan: Plan) {
        self.shared.lock().machine.plan(number, plan);
    }

    fn heard(&self, number: &str) -> BTreeSet<Tone> {
        self.shared.lock().machine.heard(number)
    }

    fn rings(&self, number: &str) -> u32 {
        self.shared.lock().machine.rings(number)
    }

    fn digits(&self, number: &str) -> String {
        self.shared.lock().machine.digits(number)
    }

    fn live(&self, number: &str) -> usize {
        self.shared.lock().machine.live(number)
    }

    fn caller_seen(&self, number: &str) -> Option<String> {
        self.shared.lock().machine.caller_seen(number)
    }

    fn hang_up(&self, number: &str) {
        self.shared.with(|state, now| state.machine.act(number, &Act::HangUp, now));
    }

    fn press(&self, number: &str, digits: &str) {
        self.shared.with(|state, now| state.machine.act(number, &Act::Press(digits.to_owned()), now));
    }

    fn transfer(&self, number: &str, to: &str) {
        self.shared.with(|state, now| state.machine.transfer(number, to, now));
    }

    fn transfer_attended(&self, number: &str) {
        self.shared.with(|state, now| state.machine.transfer_attended(number, now));
    }

    fn transferred(&self, number: &str) -> Option<u16> {
        self.shared.lock().machine.transferred(number)
    }

    fn hold(&self, number: &str) {
        self.shared.with(|state, now| state.machine.act(number, &Act::Hold, now));
    }

    fn resume(&self, number: &str) {
        self.shared.with(|state, now| state.machine.act(number, &Act::Resume, now));
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts on one port while it is to be open.
async fn accept(shared: &Arc<Shared>, first: std::net::TcpListener, door: Door) -> io::Result<()> {
    let address = first.local_addr()?;
    let mut open = shared.open.subscribe();
    let mut listener = Some(TcpListener::from_std(first)?);
    loop {
        let (ami, http) = *open.borrow_and_update();
        let wanted = if door == Door::Ami { ami } else { http };
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
                tokio::spawn(serve(Arc::clone(shared), stream, door));
            },
        }
    }
}

/// One connection: bytes in to the machine, bytes out to the socket.
async fn serve(shared: Arc<Shared>, stream: TcpStream, door: Door) {
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
async fn keep_time(shared: &Shared) {
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
