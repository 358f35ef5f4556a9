//! The shell with real sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Door, FreeSwitch, Options, Stats};
use crate::socket::{Port, Server, Transport, WRITE_TIMEOUT, wall_clock};

/// A running FreeSWITCH double.
pub type FreeSwitchServer = Server<FreeSwitch>;

/// Where a double listens. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address of both.
    pub ip: IpAddr,
    /// Port of the event socket.
    pub socket: u16,
    /// SIP port, for OPTIONS alone.
    pub sip: u16,
}

impl Default for Bind {
    fn default() -> Self {
        Bind { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), socket: 0, sip: 0 }
    }
}

impl Bind {
    /// This address with the ports of an installed server: 8021 and 5060.
    pub fn standard(ip: IpAddr) -> Self {
        Bind { ip, socket: 8021, sip: 5060 }
    }
}

impl FreeSwitchServer {
    /// Starts a double. The wall clock of `options` is set to the real one.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or the thread cannot be made.
    pub fn start(bind: Bind, mut options: Options) -> io::Result<Self> {
        options.wall = wall_clock().unwrap_or(options.wall);
        let port = |door, port, transport| Port { door, address: SocketAddr::new(bind.ip, port), transport };
        let ports = [
            port(Door::Socket, bind.socket, Transport::Stream),
            port(Door::Sip, bind.sip, Transport::Datagram),
        ];
        Server::serve("freeswitch", FreeSwitch::new(options, Duration::ZERO), &ports, WRITE_TIMEOUT)
    }

    /// Where the event socket listens.
    pub fn socket(&self) -> SocketAddr {
        self.address(Door::Socket)
    }

    /// Where SIP OPTIONS are answered.
    pub fn sip(&self) -> SocketAddr {
        self.address(Door::Sip)
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        self.read(FreeSwitch::stats)
    }
}
