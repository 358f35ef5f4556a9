//! What can be filled into a text: the name of the server, its address, and ours as it sees us.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use ifbus_fleet::view::ServerView;

use super::super::session;

/// What stands where nothing is known.
const BIND: &str = "(choose one: an address that only the control plane reaches)";
const PERMIT: &str = "(choose one: the address of the control plane as this server sees it)/32";
const OURS: &str = "(choose one: the address of the control plane as this server sees it)";
/// A look at an orchestrator that runs takes no longer; without an answer nothing is filled in.
const LOOK_WITHIN: Duration = Duration::from_millis(500);

/// What is known of a server before it is set up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// Its name here.
    pub name: Option<String>,
    /// Where it is.
    pub host: Option<String>,
    /// The address from which it is reached: ours, as it sees us.
    pub ours: Option<IpAddr>,
}

impl Known {
    /// By what was said; the host of a server that was added is asked of the orchestrator, if one runs.
    pub async fn find(name: Option<String>, host: Option<String>, on: Option<&str>) -> Self {
        let host = match (&name, host) {
            (_, Some(host)) => Some(host),
            (Some(name), None) => tokio::time::timeout(LOOK_WITHIN, added(name, on))
                .await
                .ok()
                .flatten()
                .map(|server| server.host),
            (None, None) => None,
        };
        let ours = host.as_deref().and_then(as_seen_from);
        Self { name, host, ours }
    }

    /// The text with everything filled in that is known.
    pub fn fill(&self, text: &str) -> String {
        let bind = self.host.as_deref().filter(|host| host.parse::<IpAddr>().is_ok());
        let permit = self.ours.map(|ip| format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 }));
        text.replace("{bindaddr}", bind.unwrap_or(BIND))
            .replace("{permit}", permit.as_deref().unwrap_or(PERMIT))
            .replace("{ours}", self.ours.map(|ip| ip.to_string()).as_deref().unwrap_or(OURS))
    }
}

/// The server, if it was added and an orchestrator runs. None is started.
async fn added(name: &str, on: Option<&str>) -> Option<ServerView> {
    let client = session::existing(on).await.ok()??;
    client.get(&format!("/v1/servers/{name}")).await.ok()?.parse().ok()
}

/// Our address on the way to a host. Nothing is sent: the system only looks up the way.
fn as_seen_from(host: &str) -> Option<IpAddr> {
    let to = (host, 5038).to_socket_addrs().ok()?.next()?;
    let from: IpAddr = if to.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((from, 0)).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}
