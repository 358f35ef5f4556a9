//! The double on real ports.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::channel;

use super::{Door, Flexisip, Options, pusher};
use crate::socket::{Port, Server, Transport, WRITE_TIMEOUT, wall_clock};

/// A running Flexisip double. Dropping it stops it.
pub type FlexisipServer = Server<Flexisip>;

/// Where it listens. Port 0 takes a free one, which then stays the same over restarts.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// Address of all.
    pub ip: IpAddr,
    /// Port of SIP.
    pub sip: u16,
    /// Port of the account manager.
    pub api: u16,
}

impl Default for Bind {
    fn default() -> Self {
        Bind { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), sip: 0, api: 0 }
    }
}

impl FlexisipServer {
    /// Starts a double. The wall clock of `options` is set to the real one.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or a thread cannot be made.
    pub fn start(bind: Bind, mut options: Options) -> io::Result<Self> {
        options.wall = wall_clock().unwrap_or(options.wall);
        let events = options.events;
        let port =
            |door, number, transport| Port { door, address: SocketAddr::new(bind.ip, number), transport };
        let ports =
            [port(Door::Sip, bind.sip, Transport::Datagram), port(Door::Api, bind.api, Transport::Stream)];
        let machine = Flexisip::new(options, std::time::Duration::ZERO);
        let server = Self::serve("flexisip", machine, &ports, WRITE_TIMEOUT)?;
        let sip = server.sip();
        server.with(|machine, _| machine.listens_at(sip));
        if let Some(to) = events {
            let (sender, pushes) = channel();
            // it ends with the machine, which holds the other end
            std::thread::Builder::new()
                .name("flexisip-pusher".to_owned())
                .spawn(move || pusher::run(&pushes, to))?;
            server.with(|machine, _| machine.push_to(sender));
        }
        Ok(server)
    }

    /// Where SIP is.
    #[must_use]
    pub fn sip(&self) -> SocketAddr {
        self.address(Door::Sip)
    }

    /// Where the account manager is.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.address(Door::Api)
    }
}
