//! The double on real ports.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Door, OpenSips, Options};
use crate::socket::{Port, Server, Transport, WRITE_TIMEOUT, wall_clock};

/// A running OpenSIPS double. Dropping it stops it.
pub type OpenSipsServer = Server<OpenSips>;

/// Where it listens. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address of all.
    pub ip: IpAddr,
    /// Port of MI over HTTP.
    pub http: u16,
    /// Port of MI by datagrams.
    pub mi: u16,
    /// Port of SIP.
    pub sip: u16,
}

impl Default for Bind {
    fn default() -> Self {
        Bind { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), http: 0, mi: 0, sip: 0 }
    }
}

impl OpenSipsServer {
    /// Starts a double. The wall clock of `options` is set to the real one.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or the thread cannot be made.
    pub fn start(bind: Bind, mut options: Options) -> io::Result<Self> {
        options.wall = wall_clock().unwrap_or(options.wall);
        let port =
            |door, number, transport| Port { door, address: SocketAddr::new(bind.ip, number), transport };
        let ports = [
            port(Door::Http, bind.http, Transport::Stream),
            port(Door::Mi, bind.mi, Transport::Datagram),
            port(Door::Events, 0, Transport::Datagram),
            port(Door::Sip, bind.sip, Transport::Datagram),
        ];
        let machine = OpenSips::new(options, std::time::Duration::ZERO);
        let server = Self::serve("opensips", machine, &ports, WRITE_TIMEOUT)?;
        let sip = server.sip();
        server.with(|machine, _| machine.listens_at(sip));
        Ok(server)
    }

    /// Where MI over HTTP is.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.address(Door::Http)
    }

    /// Where MI by datagrams is.
    #[must_use]
    pub fn mi(&self) -> SocketAddr {
        self.address(Door::Mi)
    }

    /// Where SIP is.
    #[must_use]
    pub fn sip(&self) -> SocketAddr {
        self.address(Door::Sip)
    }
}
