//! The shell with real sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Door, Elastix, WebFaults, WebOptions};
use crate::asterisk::Options;
use crate::socket::{Port, Server, Transport, WRITE_TIMEOUT, wall_clock};

/// A running double.
pub type ElastixServer = Server<Elastix>;

/// Where a double listens. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address of all.
    pub ip: IpAddr,
    /// AMI port.
    pub ami: u16,
    /// Web port.
    pub web: u16,
    /// SIP port, for OPTIONS alone.
    pub sip: u16,
}

impl Default for Bind {
    fn default() -> Self {
        Bind { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), ami: 0, web: 0, sip: 0 }
    }
}

impl ElastixServer {
    /// Starts a double. The wall clock of `options` is set to the real one.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or the thread cannot be made.
    pub fn start(bind: Bind, mut options: Options, web: WebOptions) -> io::Result<Self> {
        options.wall = wall_clock().unwrap_or(options.wall);
        let port = |door, port, transport| Port { door, address: SocketAddr::new(bind.ip, port), transport };
        let ports = [
            port(Door::Ami, bind.ami, Transport::Stream),
            port(Door::Web, bind.web, Transport::Stream),
            port(Door::Sip, bind.sip, Transport::Datagram),
        ];
        Server::serve("elastix", Elastix::new(options, web, Duration::ZERO), &ports, WRITE_TIMEOUT)
    }

    /// Where AMI listens.
    pub fn ami(&self) -> SocketAddr {
        self.address(Door::Ami)
    }

    /// Where the web server listens.
    pub fn web(&self) -> SocketAddr {
        self.address(Door::Web)
    }

    /// Where SIP OPTIONS are answered.
    pub fn sip(&self) -> SocketAddr {
        self.address(Door::Sip)
    }

    /// Changes what goes wrong with the web server.
    pub fn web_faults(&self, change: impl FnOnce(&mut WebFaults)) {
        self.with(|machine, _| change(&mut machine.web().faults));
    }

    /// Every token that was given is over now.
    pub fn expire_tokens(&self) {
        self.with(|machine, _| machine.web().expire());
    }
}
