//! The shell with real sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Asterisk, Door, Options, Stats};
use crate::socket::{Port, Server, Transport, WRITE_TIMEOUT, wall_clock};

/// A running Asterisk double.
pub type AsteriskServer = Server<Asterisk>;

/// Where a double listens. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address of both.
    pub ip: IpAddr,
    /// AMI port.
    pub ami: u16,
    /// HTTP port.
    pub http: u16,
    /// SIP port, for OPTIONS alone.
    pub sip: u16,
    /// How long a client may take nothing before it is dropped (`writetimeout`).
    pub write_timeout: Duration,
}

impl Default for Bind {
    fn default() -> Self {
        Bind { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), ami: 0, http: 0, sip: 0, write_timeout: WRITE_TIMEOUT }
    }
}

impl Bind {
    /// This address with the ports of an installed server: 5038, 8088 and 5060.
    pub fn standard(ip: IpAddr) -> Self {
        Bind { ip, ami: 5038, http: 8088, sip: 5060, ..Bind::default() }
    }
}

impl AsteriskServer {
    /// Starts a double. The wall clock of `options` is set to the real one.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or the thread cannot be made.
    pub fn start(bind: Bind, mut options: Options) -> io::Result<Self> {
        options.wall = wall_clock().unwrap_or(options.wall);
        let port = |door, port, transport| Port { door, address: SocketAddr::new(bind.ip, port), transport };
        let ports = [
            port(Door::Ami, bind.ami, Transport::Stream),
            port(Door::Http, bind.http, Transport::Stream),
            port(Door::Sip, bind.sip, Transport::Datagram),
        ];
        Server::serve("asterisk", Asterisk::new(options, Duration::ZERO), &ports, bind.write_timeout)
    }

    /// Where AMI listens.
    pub fn ami(&self) -> SocketAddr {
        self.address(Door::Ami)
    }

    /// Where HTTP listens.
    pub fn http(&self) -> SocketAddr {
        self.address(Door::Http)
    }

    /// Where SIP OPTIONS are answered.
    pub fn sip(&self) -> SocketAddr {
        self.address(Door::Sip)
    }

    /// See [`Asterisk::refuse_actions`].
    pub fn refuse_actions(&self, refuse: bool) {
        self.with(|machine, _| machine.refuse_actions(refuse));
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        self.read(Asterisk::stats)
    }
}
