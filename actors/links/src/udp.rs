//! A UDP socket that talks to one peer, or only listens to one host. Each message is a datagram.

use std::net::{IpAddr, SocketAddr};

use ifbus_adapters::adapter::{LinkError, LinkId};
use tokio::net::{UdpSocket, lookup_host};

use crate::outbox::Mail;
use crate::{Report, Sink, link_error};

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Runs the socket to its end and says why it ended.
pub(crate) async fn run(id: LinkId, host: &str, port: u16, mut mail: Mail, sink: &Sink) -> LinkError {
    let socket = match connect(host, port).await {
        Ok(socket) => socket,
        Err(why) => return why,
    };
    sink(Report::Opened(id));
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        tokio::select! {
            biased;
            received = socket.recv(&mut buffer) => match received {
                Ok(count) => sink(Report::Bytes(id, buffer[..count].to_vec())),
                // A refusal by the peer's host is an answer of its own: the next datagram may arrive.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(error) => return link_error(&error),
            },
            message = mail.next() => {
                // A datagram that cannot be sent is a datagram that is lost: the peer's silence will tell.
                if let Err(error) = socket.send(&message).await {
                    tracing::debug!(%error, "a datagram was not sent");
                }
            }
        }
    }
}

async fn connect(host: &str, port: u16) -> Result<UdpSocket, LinkError> {
    let mut addresses = lookup_host((host, port)).await.map_err(|error| link_error(&error))?;
    let peer = addresses.next().ok_or_else(|| LinkError::NoRoute(format!("{host} has no address")))?;
    let any = if peer.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).await.map_err(|error| link_error(&error))?;
    socket.connect(peer).await.map_err(|error| link_error(&error))?;
    Ok(socket)
}

/// Hears one host, to the end of the socket, and says why it ended. The mail is dropped: nothing is sent.
pub(crate) async fn listen(id: LinkId, at: SocketAddr, from: &str, sink: &Sink) -> LinkError {
    let (socket, heard) = match bind(at, from).await {
        Ok(bound) => bound,
        Err(why) => return why,
    };
    sink(Report::Opened(id));
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((count, peer)) if is_heard(at.ip(), &heard, peer.ip()) => {
                sink(Report::Bytes(id, buffer[..count].to_vec()));
            }
            Ok((_, peer)) => tracing::debug!(%peer, "a datagram of a stranger was dropped"),
            Err(error) => return link_error(&error),
        }
    }
}

/// On loopback whoever sends is on this machine, and the system chooses which of its addresses he has.
fn is_heard(at: IpAddr, heard: &[IpAddr], peer: IpAddr) -> bool {
    heard.contains(&peer) || (at.is_loopback() && peer.is_loopback() && heard.iter().all(IpAddr::is_loopback))
}

async fn bind(at: SocketAddr, from: &str) -> Result<(UdpSocket, Vec<IpAddr>), LinkError> {
    let addresses = lookup_host((from, 0)).await.map_err(|error| link_error(&error))?;
    let heard = addresses.map(|address| address.ip()).collect();
    let socket = UdpSocket::bind(at).await.map_err(|error| link_error(&error))?;
    Ok((socket, heard))
}

#[cfg(test)]
mod tests {
    use super::is_heard;

    #[test]
    fn only_the_host_is_heard_and_on_loopback_this_machine() {
        let ip = |text: &str| text.parse().expect("an address");
        for (at, host, peer, heard) in [
            ("192.0.2.5", "192.0.2.20", "192.0.2.20", true),
            ("192.0.2.5", "192.0.2.20", "192.0.2.21", false),
            ("192.0.2.5", "192.0.2.20", "127.0.0.1", false),
            ("127.0.0.4", "127.0.0.1", "127.0.0.4", true),
            ("127.0.0.4", "192.0.2.20", "127.0.0.1", false),
        ] {
            assert_eq!(is_heard(ip(at), &[ip(host)], ip(peer)), heard, "{at} {host} {peer}");
        }
    }
}
