//! What kind of server a host is: a few ports asked, nobody logged in, nothing changed.
//!
//! Each port is asked what its protocol says at once to anybody: a banner, an HTTP answer without credentials, a SIP
//! OPTIONS. What comes back is hostile until proven: cut, made printable, looked at for a few known words. Not here:
//! adding a server (`http/servers`).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use ifbus_adapters::wire_format::sip_options::{Question, server};
use ifbus_call::Kind;
use ifbus_config::complaint::printable;
use ifbus_links::tls;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep, timeout};
use utoipa::ToSchema;

/// The whole of it takes no longer.
pub const WITHIN: Duration = Duration::from_secs(3);
/// One port is asked no longer: a name has to be looked up before.
const PORT_WITHIN: Duration = Duration::from_secs(2);
/// The most that is read from one port.
const READ_MAX: usize = 2048;
/// The most of it that is shown.
const SAID_MAX: usize = 80;
/// A datagram may be lost: it is sent again, unchanged.
const AGAIN_EVERY: Duration = Duration::from_millis(500);

/// Manager interface of an Asterisk (sheet asterisk, section 1), remote manager of a Yate.
const MANAGER: u16 = 5038;
/// External module listener of a Yate.
const EXTERNAL_MODULE: u16 = 5039;
/// HTTP with ARI.
const HTTP: u16 = 8088;
/// HTTP with JSON-RPC of a Kamailio, as `ifbus setup kamailio` prints it.
const RPC: u16 = 8080;
/// The web of an Elastix or Issabel, by TLS.
const WEB: u16 = 443;
/// Event socket of a FreeSWITCH.
const EVENT_SOCKET: u16 = 8021;
/// SIP.
const SIP: u16 = 5060;

/// The realms of its web services (sheet elastix, section 7).
const WEB_REALMS: [&str; 2] = ["IssabelWebService", "ElastixWebService"];

/// Which host to ask.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectBody {
    /// Name or address.
    pub host: String,
    /// Its management port, if it is none of the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// What one port said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct SignBody {
    /// `5038/tcp`
    pub port: String,
    /// What it said, made printable and cut.
    pub said: String,
    /// What that is: `asterisk manager interface, clear text`.
    pub means: String,
    /// The kind it speaks for, if it does.
    pub kind: Option<String>,
}

/// What a host is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DetectionBody {
    /// Always `detection`.
    pub object: String,
    /// The host.
    pub host: String,
    /// The kind that most signs speak for; absent if none does.
    pub kind: Option<String>,
    /// Whether this build can drive that kind.
    pub can_drive: bool,
    /// How many signs speak for it.
    pub agree: u32,
    /// How many speak for another kind.
    pub differ: u32,
    /// Ports that said something.
    pub signs: Vec<SignBody>,
    /// All ports that were asked.
    pub asked: Vec<String>,
    /// How long it took, in seconds.
    pub took_s: f64,
}

/// How a port is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ask {
    /// It speaks first.
    Banner,
    /// It answers HTTP.
    Http,
    /// It answers HTTP by TLS.
    Https,
    /// It answers a question about its version, and says nothing before (sheet yate, section 1).
    Engine,
    /// It answers SIP OPTIONS over UDP.
    Options,
}

/// Asks a host.
pub async fn detect(asked: &DetectBody) -> DetectionBody {
    let began = Instant::now();
    let usual = [
        (EXTERNAL_MODULE, Ask::Engine),
        (HTTP, Ask::Http),
        (RPC, Ask::Http),
        (WEB, Ask::Https),
        (EVENT_SOCKET, Ask::Banner),
        (SIP, Ask::Options),
    ];
    // What a port of the operator's own choice speaks is not known: each way is tried, on a connection of its own.
    let ways: &[Ask] = match asked.port {
        Some(_) => &[Ask::Banner, Ask::Engine, Ask::Http, Ask::Https],
        None => &[Ask::Banner],
    };
    let first = asked.port.unwrap_or(MANAGER);
    let ports: Vec<(u16, Ask)> = ways.iter().map(|way| (first, *way)).chain(usual).collect();
    let look = async {
        let address = address(&asked.host).await?;
        Some(join_all(ports.iter().map(|(port, how)| one(&asked.host, address, *port, *how))).await)
    };
    let found = timeout(WITHIN, look).await.ok().flatten().unwrap_or_default();
    let mut names: Vec<String> = ports.iter().map(|(port, how)| name(*port, *how)).collect();
    names.dedup();
    conclude(asked.host.clone(), one_each(found.into_iter().flatten()), names, began.elapsed())
}

/// One sign of each port: the first that speaks for a kind, else the first.
fn one_each(found: impl Iterator<Item = SignBody>) -> Vec<SignBody> {
    let mut signs: Vec<SignBody> = Vec::new();
    for sign in found {
        match signs.iter_mut().find(|known| known.port == sign.port) {
            None => signs.push(sign),
            Some(known) if known.kind.is_none() && sign.kind.is_some() => *known = sign,
            Some(_) => {}
        }
    }
    signs
}

fn name(port: u16, how: Ask) -> String {
    format!("{port}/{}", if how == Ask::Options { "udp" } else { "tcp" })
}

async fn address(host: &str) -> Option<IpAddr> {
    if let Ok(ip) = host.parse() {
        return Some(ip);
    }
    let mut found = tokio::net::lookup_host((host, 0)).await.ok()?;
    found.next().map(|address| address.ip())
}

/// One port; nothing if it says nothing.
async fn one(host: &str, ip: IpAddr, port: u16, how: Ask) -> Option<SignBody> {
    let at = SocketAddr::new(ip, port);
    let said = match how {
        Ask::Options => timeout(PORT_WITHIN, options(host, at)).await,
        _ => timeout(PORT_WITHIN, connected(host, at, how)).await,
    };
    let said = said.ok()??;
    Some(sign(name(port, how), how, &String::from_utf8_lossy(&said)))
}

/// What a port says over TCP.
async fn connected(host: &str, at: SocketAddr, how: Ask) -> Option<Vec<u8>> {
    let stream = TcpStream::connect(at).await.ok()?;
    // Asked without credentials: each of them names itself in its refusal.
    let get = |path: &str| {
        let port = at.port();
        format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")
    };
    match how {
        Ask::Banner => banner(stream, b"", b"\n").await,
        Ask::Engine => banner(stream, b"%%>connect:global\n%%>setlocal:engine.version:\n", b"\n").await,
        // sheet asterisk, section 1
        Ask::Http => banner(stream, get("/ari/asterisk/info").as_bytes(), b"\r\n\r\n").await,
        // sheet elastix, section 7
        Ask::Https => {
            let stream = tls::to_a_stranger(host, stream).await.ok()?;
            banner(stream, get("/rest.php/address_book/ContactList").as_bytes(), b"\r\n\r\n").await
        }
        Ask::Options => None,
    }
}

/// What is said first on a connection, after `ask` if there is something to ask: until a whole line, or a whole head; a
/// sender without line ends is cut.
async fn banner(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ask: &[u8],
    until: &[u8],
) -> Option<Vec<u8>> {
    stream.write_all(ask).await.ok()?;
    let mut said = Vec::new();
    while said.len() < READ_MAX && !said.windows(until.len()).any(|end| end == until) {
        let mut bytes = [0; 512];
        match timeout(PORT_WITHIN / 2, stream.read(&mut bytes)).await {
            Ok(Ok(read @ 1..)) => said.extend_from_slice(&bytes[..read]),
            _ => break,
        }
    }
    said.truncate(READ_MAX);
    (!said.is_empty()).then_some(said)
}

/// What SIP says of itself; who has no name then is asked for a user whom nobody knows, since some name themselves only where
/// they refuse (Flexisip 2.3).
async fn options(host: &str, at: SocketAddr) -> Option<Vec<u8>> {
    let local: SocketAddr = if at.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await.ok()?;
    socket.connect(at).await.ok()?;
    let question = question()?;
    let said = ask(&socket, &question, &question.datagram(host, at.port())).await?;
    if server(&said).is_some() {
        return Some(said);
    }
    let question = self::question()?;
    let nobody = format!("sip:{:032x}@{at}", question.id);
    let datagram = question.message(&nobody, "ifbus@ifbus.invalid", "UDP");
    let refused = timeout(PORT_WITHIN / 2, ask(&socket, &question, &datagram)).await.ok().flatten();
    Some(refused.filter(|refused| server(refused).is_some()).unwrap_or(said))
}

fn question() -> Option<Question> {
    let id = getrandom::u64().ok().map(u128::from)? << 64 | u128::from(getrandom::u64().ok()?);
    Some(Question { id })
}

async fn ask(socket: &UdpSocket, question: &Question, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; READ_MAX];
    loop {
        socket.send(datagram).await.ok()?;
        tokio::select! {
            biased;
            received = socket.recv(&mut bytes) => {
                let read = received.ok()?;
                if question.answered_by(&bytes[..read]).is_some() {
                    bytes.truncate(read);
                    return Some(bytes);
                }
            }
            () = sleep(AGAIN_EVERY) => {}
        }
    }
}

/// What was said, and what it means.
fn sign(port: String, how: Ask, said: &str) -> SignBody {
    let line = said.lines().next().unwrap_or_default();
    let software = header(said, "Server").or_else(|| header(said, "User-Agent"));
    let (means, kind, shown) = match how {
        Ask::Banner if line.starts_with("Asterisk Call Manager/") => {
            ("asterisk manager interface, clear text".to_owned(), Some("asterisk"), line.to_owned())
        }
        Ask::Banner if line.starts_with("Content-Type: auth/request") => {
            ("freeswitch event socket, clear text".to_owned(), Some("freeswitch"), line.to_owned())
        }
        Ask::Banner if line.starts_with("YATE ") => {
            ("yate remote manager, clear text".to_owned(), Some("yate"), line.to_owned())
        }
        Ask::Engine if line.starts_with("%%<setlocal:engine.version:") => (
            "yate external module, clear text and without a password".to_owned(),
            Some("yate"),
            line.to_owned(),
        ),
        Ask::Banner | Ask::Engine => ("nothing known".to_owned(), None, line.to_owned()),
        Ask::Https => {
            let realm = header(said, "WWW-Authenticate").unwrap_or_default();
            let is_web = WEB_REALMS.iter().any(|known| realm.contains(known));
            let means = if is_web { "web of an elastix, by TLS" } else { "https of something else" };
            (means.to_owned(), is_web.then_some("elastix"), line.to_owned())
        }
        Ask::Http => {
            let is_ari = said.contains("Asterisk REST Interface");
            let kind = software.and_then(of_software);
            let means = match (is_ari, kind) {
                (true, _) => "asterisk REST interface, clear text".to_owned(),
                (false, Some(kind)) => format!("http of {kind}"),
                (false, None) => "http of something else".to_owned(),
            };
            let kind = if is_ari { Some("asterisk") } else { kind };
            (means, kind, software.map_or_else(|| line.to_owned(), str::to_owned))
        }
        Ask::Options => {
            let kind = software.and_then(of_software);
            let status = line.split(' ').nth(1).unwrap_or_default();
            let shown = format!("SIP {status}, {}", software.unwrap_or("no name"));
            (
                kind.map_or_else(|| "sip of something else".to_owned(), |kind| format!("sip of {kind}")),
                kind,
                shown,
            )
        }
    };
    SignBody { port, said: printable(&shown, SAID_MAX), means, kind: kind.map(str::to_owned) }
}

fn header<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    said.lines().skip(1).take_while(|line| !line.trim().is_empty()).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The kind that calls itself so. Elastix and Issabel before Asterisk, which they contain.
fn of_software(name: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 9] = [
        // Elastix 5 is 3CX under the old name: nothing of the others applies to it
        ("3cx", "3cx"),
        ("issabel", "elastix"),
        ("elastix", "elastix"),
        ("asterisk", "asterisk"),
        ("freeswitch", "freeswitch"),
        ("kamailio", "kamailio"),
        ("opensips", "opensips"),
        ("flexisip", "flexisip"),
        ("yate", "yate"),
    ];
    let name = name.to_ascii_lowercase();
    NAMES.into_iter().find(|(word, _)| name.contains(word)).map(|(_, kind)| kind)
}

/// The kind that most signs speak for.
fn conclude(host: String, signs: Vec<SignBody>, asked: Vec<String>, took: Duration) -> DetectionBody {
    let mut votes: BTreeMap<&str, u32> = BTreeMap::new();
    for kind in signs.iter().filter_map(|sign| sign.kind.as_deref()) {
        *votes.entry(kind).or_default() += 1;
    }
    // an Issabel has an Asterisk inside, whose interfaces name themselves
    if votes.contains_key("elastix") {
        let inside = votes.remove("asterisk").unwrap_or(0);
        votes.entry("elastix").and_modify(|votes| *votes += inside);
    }
    let best = votes.iter().max_by_key(|(kind, votes)| (**votes, std::cmp::Reverse(**kind)));
    let (kind, agree) = best.map_or((None, 0), |(kind, votes)| (Some((*kind).to_owned()), *votes));
    let differ = votes.values().sum::<u32>() - agree;
    let can_drive = kind.as_deref().is_some_and(|kind| kind.parse::<Kind>().is_ok());
    let took_s = (took.as_secs_f64() * 1000.0).round() / 1000.0;
    DetectionBody {
        object: "detection".to_owned(),
        host,
        kind,
        can_drive,
        agree,
        differ,
        signs,
        asked,
        took_s,
    }
}
