//! The double on real ports.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Door, Kamailio, Options};
use crate::socket::{Port, Server, Transport, WRITE_TIMEOUT, wall_clock};

/// A running Kamailio double. Dropping it stops it.
pub type KamailioServer = Server<Kamailio>;

/// Where it listens. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address of all.
    pub ip: IpAddr,
    /// Port of JSON-RPC.
    pub rpc: u16,
    /// Port of `evapi`.
    pub events: u16,
    /// Port of SIP.
    pub sip: u16,
}

impl Default for Bind {
    fn default() -> Self {
        Bind { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), rpc: 0, events: 0, sip: 0 }
    }
}

impl KamailioServer {
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
            port(Door::Rpc, bind.rpc, Transport::Stream),
            port(Door::Events, bind.events, Transport::Stream),
            port(Door::Sip, bind.sip, Transport::Datagram),
        ];
        let machine = Kamailio::new(options, std::time::Duration::ZERO);
        let server = Self::serve("kamailio", machine, &ports, WRITE_TIMEOUT)?;
        let sip = server.sip();
        server.with(|machine, _| machine.listens_at(sip));
        Ok(server)
    }

    /// Where JSON-RPC is.
    #[must_use]
    pub fn rpc(&self) -> SocketAddr {
        self.address(Door::Rpc)
    }

    /// Where `evapi` is.
    #[must_use]
    pub fn events(&self) -> SocketAddr {
        self.address(Door::Events)
    }

    /// Where SIP is.
    #[must_use]
    pub fn sip(&self) -> SocketAddr {
        self.address(Door::Sip)
    }
}
