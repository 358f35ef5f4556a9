//! Phones behind a proxy that answer and are silent: the doubles' own ones send audio all the time, and that of ten
//! thousand calls is a load of its own.
//!
//! One thread, one socket, any number: an invitation rings at once and is answered after 100 ms, as the other doubles'
//! phones do it; everything else is answered 200.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// From an invitation to its answer.
const THINKS: Duration = Duration::from_millis(100);

/// Starts them; they end with the process. Where they are, and in how many calls.
pub fn phones() -> io::Result<(SocketAddr, Arc<AtomicUsize>)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    // A burst of invitations must not be lost before it is read.
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20)?;
    let at = socket.local_addr()?;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    std::thread::Builder::new().name("quiet".to_owned()).spawn(move || serve(&socket, at, &counted))?;
    Ok((at, calls))
}

fn serve(socket: &UdpSocket, at: SocketAddr, calls: &AtomicUsize) {
    let mut live = BTreeSet::new();
    let mut buffer = vec![0; 65_536];
    let mut answers: VecDeque<(Instant, SocketAddr, String)> = VecDeque::new();
    loop {
        let now = Instant::now();
        while answers.front().is_some_and(|(due, ..)| *due <= now) {
            if let Some((_, to, answer)) = answers.pop_front() {
                // A datagram that the kernel does not take is lost, as datagrams are.
                let _ = socket.send_to(answer.as_bytes(), to);
            }
        }
        let wait = answers.front().map(|(due, ..)| (*due - now).max(Duration::from_millis(1)));
        if socket.set_read_timeout(wait).is_err() {
            return;
        }
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let request = String::from_utf8_lossy(&buffer[..length]);
        match request.split(' ').next().unwrap_or_default() {
            "ACK" | "SIP/2.0" => {}
            // The first of a dialog: To has no tag yet.
            "INVITE" if !header(&request, "To").contains("tag=") => {
                let _ = socket.send_to(reply(&request, "180 Ringing", at, "").as_bytes(), from);
                let answer = reply(&request, "200 OK", at, &describe(at));
                answers.push_back((Instant::now() + THINKS, from, answer));
                live.insert(header(&request, "Call-ID").to_owned());
            }
            "INVITE" => {
                let _ = socket.send_to(reply(&request, "200 OK", at, &describe(at)).as_bytes(), from);
            }
            method => {
                if method == "BYE" {
                    live.remove(header(&request, "Call-ID"));
                }
                let _ = socket.send_to(reply(&request, "200 OK", at, "").as_bytes(), from);
            }
        }
        calls.store(live.len(), Ordering::Relaxed);
    }
}

/// The first header of this name; nothing if there is none.
pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    headers(message, name).next().unwrap_or_default()
}

/// Every header of this name, in order.
pub fn headers<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    head.split("\r\n").filter_map(move |line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn reply(request: &str, status: &str, at: SocketAddr, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "Record-Route", "From", "Call-ID", "CSeq"] {
        for value in headers(request, name) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let (to, call) = (header(request, "To"), header(request, "Call-ID"));
    // One dialog of each call: its name will do for a tag.
    let tag = if to.contains("tag=") { String::new() } else { format!(";tag=q{}", tag_of(call)) };
    let user = to.split("sip:").nth(1).and_then(|uri| uri.split(['@', '>']).next()).unwrap_or("phone");
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    text.push_str(&format!(
        "To: {to}{tag}\r\nContact: <sip:{user}@{at}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    text
}

fn tag_of(call_id: &str) -> String {
    call_id.chars().filter(char::is_ascii_alphanumeric).take(24).collect()
}

/// A description that is true but for the audio.
pub fn describe(at: SocketAddr) -> String {
    let ip = at.ip();
    format!(
        "v=0\r\no=quiet 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}
