//! Screens, calls and servers to show.

use ifbus_call::{By, CallId, Cause, Kind, Said};
use ifbus_fleet::view::{
    AttemptView, CallView, ConferenceView, EndView, InterfaceView, LinkView, MemberView, Origin, ServerState,
    ServerView, Status,
};
use jiff::Timestamp;

use crate::cli::screen::Screen;

/// The moment of all data here.
pub(super) fn now() -> Timestamp {
    "2026-11-22T10:52:07Z".parse().unwrap()
}

fn before(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() - seconds).unwrap()
}

/// A terminal of this width, with colour unless the environment says otherwise.
pub(super) fn terminal(width: usize) -> Screen {
    Screen::new(false, false, &|_| None, Some(Some(width)), true)
}

/// A pipe.
pub(super) fn pipe() -> Screen {
    Screen::new(false, false, &|_| None, None, false)
}

/// A terminal without colour.
pub(super) fn plain(width: usize) -> Screen {
    Screen::new(false, true, &|_| None, Some(Some(width)), true)
}

pub(super) fn end(cause: Cause, said: &str) -> EndView {
    EndView { class: cause, by: By::Party, role: None, server_said: Said::new(None, said) }
}

pub(super) fn call(number: u128, status: Status) -> CallView {
    let born = before(30);
    let id = CallId::new(u64::try_from(born.as_millisecond()).unwrap(), number);
    CallView {
        status,
        server: Some("pbx1".parse().unwrap()),
        attempts: vec![AttemptView {
            server: "pbx1".parse().unwrap(),
            chosen: "the only eligible one".to_owned(),
            at: born,
            ended: None,
        }],
        ringing_at: Some(before(29)),
        answered_at: (status == Status::InProgress).then(|| before(24)),
        seq: 3,
        ..CallView::new(id, "1001".parse().unwrap(), "1002".parse().unwrap(), born)
    }
}

/// A conference with `n` members, every second of them muted, the last one not inside yet.
pub(super) fn conference(n: u128) -> ConferenceView {
    let member = |number: u128| {
        let call = call(0xBEEF + number, Status::InProgress).id;
        MemberView {
            id: format!("{call}.a"),
            call,
            role: ifbus_call::Role::A,
            party: format!("{}", 1001 + number).parse().unwrap(),
            stage: if number + 1 == n { "ringing" } else { "up" }.to_owned(),
            inside: number + 1 != n,
            muted: number % 2 == 1,
        }
    };
    ConferenceView {
        id: "the-standup-of-the-northern-team".parse().unwrap(),
        object: "conference".to_owned(),
        server: "pbx1".parse().unwrap(),
        created_at: now(),
        members: (0..n).map(member).collect(),
        foreign: 1,
    }
}

pub(super) fn server(name: &str, state: ServerState) -> ServerView {
    ServerView {
        name: name.parse().unwrap(),
        object: "server".to_owned(),
        kind: Kind::Asterisk,
        host: "192.0.2.10".to_owned(),
        port: 5038,
        origin: Origin::Cli,
        version: Some("22.5.1".to_owned()),
        state,
        note: (state == ServerState::Down).then(|| "management: login refused; next try in 8 s".to_owned()),
        interfaces: vec![InterfaceView {
            interface: "management".to_owned(),
            up: true,
            answered_ms: Some(0.8),
            why: None,
        }],
        calls: 42,
        drain: None,
        foreign: 3,
        capacity: 200,
        cps_max: 50.0,
        load: ifbus_call::Load::default(),
        figures: Default::default(),
        link: LinkView { epoch: 1, up_since: (state != ServerState::Down).then(|| before(3 * 86_400)) },
        warnings: Vec::new(),
        certificates: Vec::new(),
    }
}
