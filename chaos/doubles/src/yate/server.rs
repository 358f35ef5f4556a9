//! The shell with real sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Door, Options, Stats, Yate};
use crate::socket::{Port, Server, Transport, WRITE_TIMEOUT, wall_clock};

/// A running Yate double.
pub type YateServer = Server<Yate>;

/// Where a double listens. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address of all.
    pub ip: IpAddr,
    /// External module port.
    pub engine: u16,
    /// Port of the file server beside it.
    pub http: u16,
    /// SIP port, for OPTIONS alone.
    pub sip: u16,
}

impl Default for Bind {
    fn default() -> Self {
        Bind { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), engine: 0, http: 0, sip: 0 }
    }
}

impl YateServer {
    /// Starts a double. The wall clock of `options` is set to the real one.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or the thread cannot be made.
    pub fn start(bind: Bind, mut options: Options) -> io::Result<Self> {
        options.wall = wall_clock().unwrap_or(options.wall);
        let port = |door, port, transport| Port { door, address: SocketAddr::new(bind.ip, port), transport };
        let ports = [
            port(Door::Engine, bind.engine, Transport::Stream),
            port(Door::Files, bind.http, Transport::Stream),
            port(Door::Sip, bind.sip, Transport::Datagram),
        ];
        Server::serve("yate", Yate::new(options, Duration::ZERO), &ports, WRITE_TIMEOUT)
    }

    /// Where the engine listens.
    pub fn engine(&self) -> SocketAddr {
        self.address(Door::Engine)
    }

    /// Where recordings are given out.
    pub fn files(&self) -> SocketAddr {
        self.address(Door::Files)
    }

    /// Where SIP OPTIONS are answered.
    pub fn sip(&self) -> SocketAddr {
        self.address(Door::Sip)
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        self.read(Yate::stats)
    }
}
