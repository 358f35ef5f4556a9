//! Peers that are wrong from their first byte, at the manager's port.

use crate::mischief::{AMI, Handle, Mischief, it_is_used_again, life_goes_on_beside};
use crate::world::run;

/// More than this is never kept of one connection: the longest message, and what is under way meanwhile.
const KEPT_MAX: usize = 1024 * 1024 + 4 * PIECE;
const PIECE: usize = 16 * 1024;

/// It misbehaves like this, is down with these words, and is used again afterwards.
fn contained(seed: u64, mischief: Mischief, words: &str) {
    run(seed, &["pbx1", "pbx2"], async |world| {
        let world = &*world;
        let peer = Handle::before(world, "pbx1").await;
        peer.turns(AMI, mischief);
        peer.down_for(words).await;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
        // and again: it is tried anew, with the same end
        peer.down_for(words).await;
        assert!(peer.most_said() <= KEPT_MAX, "{} bytes were taken of one connection", peer.most_said());
        peer.heals();
        it_is_used_again(world, "pbx1").await;
    });
}

#[test]
fn whoever_speaks_another_protocol_is_named_by_its_first_words() {
    for (seed, banner) in [
        &b"Content-Type: auth/request\n\n"[..],
        b"HTTP/1.1 400 Bad Request\r\nServer: kamailio (5.7.4)\r\nContent-Length: 0\r\n\r\n",
        b"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600}}\n",
        b"YATE 6.4.0-1 r6507 (http://YATE.null.ro) ready on pbx.\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\x00\x04\x00\x10\x00\x00\x00\x05",
        b"SIP/2.0 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP ready for you\r\n",
        b"\x15\x03\x03\x00\x02\x02\x0a\x15\x03\x03\x00\x02\x02\x0a\x15\x03\x03\x00\x02\x02\x0a\x15\x03\x03",
        b"Asterisk Call Manage\r\n",
        b"Asterisk Call Manager/\r\n",
        b"\r\n",
        b"\x1b[2J\x07\x00\xff\xfe evil terminal\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        contained(seed as u64, Mischief::Says(banner.to_vec()), "not the expected server: greeted by");
    }
}

#[test]
fn silence_after_the_accept_is_told_as_silence() {
    contained(100, Mischief::Says(Vec::new()), "silent for 5s");
}

#[test]
fn silence_after_the_greeting_is_told_as_silence() {
    contained(101, Mischief::Says(b"Asterisk Call Manager/11.0.0\r\n".to_vec()), "silent for 5s");
}

#[test]
fn a_close_after_half_a_message_is_a_lost_connection() {
    for (seed, half) in [
        &b""[..],
        b"Asterisk Call Ma",
        b"Asterisk Call Manager/11.0.0\r\n",
        b"Asterisk Call Manager/11.0.0\r\nResponse: Succ",
    ]
    .into_iter()
    .enumerate()
    {
        contained(
            102 + seed as u64,
            Mischief::SaysAndCloses(half.to_vec()),
            "connection lost: closed by the peer",
        );
    }
}

#[test]
fn a_line_without_an_end_is_cut_off_at_the_limit() {
    let piece = vec![b'a'; PIECE];
    contained(110, Mischief::Repeats(piece.clone(), piece.clone()), "not the expected server");
    contained(
        111,
        Mischief::Repeats(b"Asterisk Call Manager/".to_vec(), piece.clone()),
        "protocol broken: a line over",
    );
    let greeted = b"Asterisk Call Manager/11.0.0\r\nMessage: ".to_vec();
    contained(112, Mischief::Repeats(greeted, piece), "protocol broken: a line over");
}

#[test]
fn a_message_without_an_end_is_cut_off_at_the_limit() {
    let lines = "Output: x\r\n".repeat(PIECE / 11).into_bytes();
    let greeted = b"Asterisk Call Manager/11.0.0\r\n".to_vec();
    contained(113, Mischief::Repeats(greeted, lines), "protocol broken: a line over");
}

#[test]
fn answers_to_nobody_before_the_login_are_not_a_login() {
    let flood = "Response: Success\r\nActionID: 00000000000000000000000000000000\r\nMessage: Authentication accepted\r\n\r\n";
    let greeted = b"Asterisk Call Manager/11.0.0\r\n".to_vec();
    // Nothing of it is kept, so it may go on until the deadline of the login.
    run(114, &["pbx1", "pbx2"], async |world| {
        let world = &*world;
        let peer = Handle::before(world, "pbx1").await;
        peer.turns(AMI, Mischief::Repeats(greeted, flood.into()));
        peer.down_for("silent for 5s").await;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
        peer.heals();
        it_is_used_again(world, "pbx1").await;
    });
}
