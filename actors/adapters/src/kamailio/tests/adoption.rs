//! What is found after a restart of ours, or of the server's.

use std::time::Duration;

use ifbus_call::Order;

use super::rig::{A, INSTANCE, Rig, dial, dialog};
use crate::adapter::Input;
use crate::sip::{Dialog, Progress, SipCommand, SipEvent};

/// A call of ours that is up, as it was written down.
fn written() -> Dialog {
    let mut rig = Rig::ready(&[]);
    rig.give(dial(A, "1001"));
    let sdp =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    rig.input(Input::Sip(SipEvent::Up { leg: A, sdp: sdp.to_owned(), session: None }));
    rig.persisted.pop().expect("it was written down")
}

#[test]
fn calls_that_were_written_down_are_taken_up_before_the_socket_is_bound() {
    let dialog_of_ours = written();
    assert_eq!(dialog_of_ours.progress, Progress::Up);
    let mut rig = Rig::with(&[]);
    rig.input(Input::Restored(vec![dialog_of_ours.clone()]));
    rig.dialogs = vec![dialog(&dialog_of_ours.wire.call_id, 4), dialog("foreign@y", 4)];
    rig.start();
    assert!(matches!(rig.sip[..], [SipCommand::Open(_), SipCommand::Restore(A, _), SipCommand::Bind]));
    let seen = &rig.ready[0].seen;
    let tags: Vec<_> = seen.iter().map(|seen| seen.tag.is_some()).collect();
    assert_eq!(tags, [true, false]);
    assert_eq!(rig.count("dlg.terminate_dlg"), 0);
}

#[test]
fn a_call_of_ours_that_nothing_is_known_of_is_ended_once() {
    let lost = format!("ib-{INSTANCE}-{:032x}", 7);
    let other = format!("ib-{:016x}-{:032x}", 9, 7);
    let mut rig = Rig::with(&[]);
    rig.dialogs = vec![dialog(&lost, 4), dialog(&other, 4)];
    rig.start();
    assert_eq!(rig.last("dlg.terminate_dlg")[0], lost.as_str());
    assert_eq!(rig.count("dlg.terminate_dlg"), 1, "that of another installation is left alone");
    assert_eq!(rig.ready[0].seen.len(), 1);
    assert_eq!(rig.warnings[0].code, "orphan");
    let mut rig = Rig::with(&[]);
    rig.dialogs = vec![dialog(&lost, 2)];
    rig.start();
    assert_eq!(rig.count("tm.cancel"), 1, "one that rings is canceled");
}

#[test]
fn a_call_that_the_server_does_not_list_is_asked_for_at_its_phone() {
    let mut rig = Rig::with(&[]);
    rig.input(Input::Restored(vec![written()]));
    rig.start();
    rig.advance(Duration::from_millis(1));
    let asked = |rig: &Rig| {
        rig.sip.iter().filter(|said| matches!(said, SipCommand::Options { leg: Some(A), .. })).count()
    };
    assert_eq!(asked(&rig), 1);
    assert!(rig.events.is_empty(), "it lives, whatever the server lists");
    assert_eq!(rig.listed().len(), 1);
}

#[test]
fn calls_go_on_when_a_life_of_the_links_ends() {
    let mut rig = Rig::with(&[]);
    rig.input(Input::Restored(vec![written()]));
    rig.start();
    rig.up_since = "later";
    rig.give(Order::Probe);
    assert_eq!(rig.down.len(), 1);
    assert!(!rig.sip.contains(&SipCommand::Close));
    rig.start();
    assert_eq!(rig.ready[1].seen.len(), 1);
    rig.input(Input::Stop);
    assert!(rig.sip.contains(&SipCommand::Close));
}
