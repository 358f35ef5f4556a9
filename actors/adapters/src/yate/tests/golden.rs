//! The bytes of every order, as the sheet has them.

use ifbus_call::order::{Direction, Done, ParkReason, Role};
use ifbus_call::{Cause, LegId, Order, RecordingId, Wait};

use super::rig::{A, B, C, Rig, dial};

const SILENCE: &str = "wave/play//var/lib/yate/ifbus/silence.slin";

fn said(rig: &mut Rig, order: Order) -> Vec<String> {
    let mark = rig.sent.len();
    let ticket = rig.order(order);
    assert!(rig.answers.contains_key(&ticket), "it is answered: {:?}", rig.sent);
    rig.sent[mark..].to_vec()
}

#[test]
fn a_life_begins_with_what_protects_the_engine() {
    let rig = Rig::ready();
    assert_eq!(rig.sent[0], "%%>connect:global");
    assert_eq!(rig.sent[1], "%%>install:50:chan.disconnected:ifbus_keep:yes");
    assert_eq!(
        rig.since(2),
        ["engine.status::module=sip", "engine.status::module=cdrbuild", "engine.status::module=conf"]
    );
    assert_eq!((&*rig.ready[0].boot.0, &*rig.ready[0].version), ("1795340303", "6.4.1"));
}

#[test]
fn a_dial_names_a_place_a_target_and_what_is_kept_with_the_leg() {
    let mut rig = Rig::ready();
    let sent = said(&mut rig, dial(A, Role::A, "1001"));
    let call = super::rig::call(7);
    let expected = format!(
        "call.execute::callto=dumb/ifbus:autorepeat=true:target=1001:caller=1002:callername=1002:maxcall=35000:\
         timeout=140000:copyparams=chanparams-prefix,ifb.ifbus_leg,ifb.ifbus_call,ifb.ifbus_ends,maxcall,timeout,line:\
         chanparams-prefix=ifb.:ifb.ifbus_leg=A:ifb.ifbus_call=1|{call}|a|1001:ifb.ifbus_ends=1|1001|1002"
    );
    assert_eq!(sent, [expected]);
}

#[test]
fn forms_of_addresses_take_their_ways() {
    let mut rig = Rig::ready();
    let sent = said(&mut rig, dial(A, Role::A, "+4930123"));
    assert!(
        sent[0].contains(":target=+4930123:") && sent[0].contains(":direct=line/+4930123:line=acme:"),
        "{sent:?}"
    );
    let sent = said(&mut rig, dial(B, Role::A, "sip:x@example.org"));
    assert!(sent[0].contains(":direct=sip/sip%zx@example.org:"), "{sent:?}");
    let Order::Dial(mut ringback) = dial(C, Role::A, "1003") else { panic!("a dial") };
    ringback.wait = Wait::Ringback;
    let sent = said(&mut rig, Order::Dial(ringback));
    assert!(sent[0].starts_with("call.execute::callto=tone/ring:"), "{sent:?}");
}

#[test]
fn the_first_join_proves_the_sounds_and_the_next_ones_only_connect() {
    let mut rig = Rig::ready();
    let (a, b) = (rig.up(A, Role::A, "1001"), rig.up(B, Role::B, "1002"));
    let sent = said(&mut rig, Order::Join { a: A, b: B });
    let attach = |over: &str| format!("chan.masquerade::id={a}:message=chan.attach:override={over}");
    assert_eq!(
        sent,
        [
            format!("{}:autorepeat=true:single=true", attach(SILENCE)),
            format!("{}:autorepeat=true:single=true", attach("wave/play//var/lib/yate/ifbus/music.slin")),
            format!("{}:single=true", attach("-")),
            format!("chan.connect::id={a}:targetid={b}:reason=ifbus-join"),
            format!("chan.control::targetid={a}:timeout=0"),
            format!("chan.control::targetid={b}:timeout=0"),
            format!("engine.status::module={a}"),
        ]
    );
    assert_eq!(said(&mut rig, Order::Join { a: B, b: A }), [""; 0], "joined already: nothing is sent");
    let c = rig.up(C, Role::C, "1003");
    let sent = said(&mut rig, Order::Join { a: A, b: C });
    assert_eq!(sent[0], format!("chan.connect::id={a}:targetid={c}:reason=ifbus-join"));
}

#[test]
fn a_park_is_three_steps_one_after_the_other() {
    let mut rig = Rig::ready();
    let (a, b) = rig.talk();
    let sent = said(&mut rig, Order::Park { held: B, other: A, why: ParkReason::Consult });
    assert_eq!(
        sent,
        [
            format!("chan.control::targetid={a}:chanparams-prefix=ifb.:ifb.ifbus_keep=yes"),
            format!("chan.masquerade::id={b}:message=call.conference:room=conf/ifbp-*:lonely=true"),
            format!(
                "chan.masquerade::id={b}:message=call.execute:callto=wave/play//var/lib/yate/ifbus/music.slin:autorepeat=true"
            ),
            sent[3].clone(),
            format!("chan.masquerade::id={a}:message=call.execute:callto={SILENCE}:autorepeat=true"),
        ]
    );
    assert!(
        sent[3]
            .starts_with(&format!("chan.control::targetid={b}:chanparams-prefix=ifb.:ifb.ifbus_music=wave/"))
    );
}

#[test]
fn drops_name_one_channel_and_a_word() {
    let mut rig = Rig::ready();
    let a = rig.up(A, Role::A, "1001");
    let mark = rig.sent.len();
    let ticket = rig.order(Order::Drop { leg: A, cause: Cause::Busy });
    assert_eq!(rig.since(mark), [format!("call.drop::id={a}:reason=busy")]);
    assert!(!rig.answers.contains_key(&ticket), "accepted is not done");
    rig.event("chan.hangup", A, &a, "status=busy:reason=Busy Here");
    rig.proven(ticket);
}

#[test]
fn mutes_lay_silence_over_ears() {
    let mut rig = Rig::ready();
    let (a, b) = rig.talk();
    let sent = said(&mut rig, Order::Mute { leg: A, direction: Direction::In, on: true });
    assert_eq!(
        sent,
        [
            format!("chan.control::targetid={a}:chanparams-prefix=ifb.:ifb.ifbus_mute=i"),
            format!(
                "chan.masquerade::id={b}:message=chan.attach:override={SILENCE}:autorepeat=true:single=true"
            ),
        ]
    );
    let sent = said(&mut rig, Order::Mute { leg: A, direction: Direction::Out, on: true });
    assert_eq!(
        sent[1],
        format!("chan.masquerade::id={a}:message=chan.attach:override={SILENCE}:autorepeat=true:single=true")
    );
    let sent = said(&mut rig, Order::Mute { leg: A, direction: Direction::In, on: false });
    assert_eq!(sent[0], format!("chan.control::targetid={a}:chanparams-prefix=ifb.:ifb.ifbus_mute=o"));
    assert_eq!(sent[1], format!("chan.masquerade::id={b}:message=chan.attach:override=-:single=true"));
}

#[test]
fn rooms_are_entered_without_a_fence_and_left_to_silence() {
    let mut rig = Rig::ready();
    let (a, b) = rig.talk();
    let _ = b;
    rig.order(Order::Park { held: B, other: A, why: ParkReason::Hold });
    let conference = "standup".parse().expect("an id");
    let sent = said(&mut rig, Order::Enter { leg: A, conference });
    assert_eq!(
        sent,
        [
            format!(
                "chan.masquerade::id={a}:message=call.execute:callto=conf/ifb-123456789abcdef0-standup:lonely=true:maxusers=1000"
            ),
            format!("chan.control::targetid={a}:timeout=0"),
        ]
    );
    let sent = said(&mut rig, Order::Mute { leg: A, direction: Direction::In, on: true });
    assert!(
        sent[1].starts_with("chan.control::targetid=conf/") && sent[1].ends_with(":mute=true"),
        "{sent:?}"
    );
    let sent = said(&mut rig, Order::Leave { leg: A });
    assert_eq!(
        sent,
        [format!("chan.masquerade::id={a}:message=call.execute:callto={SILENCE}:autorepeat=true")]
    );
}

#[test]
fn recordings_are_two_files_noted_beside_the_leg() {
    let mut rig = Rig::ready();
    let (a, _) = rig.talk();
    let recording = RecordingId::new(1, 2);
    let word = recording.to_string().trim_start_matches("rec_").to_ascii_lowercase();
    let sent = said(&mut rig, Order::Record { leg: A, recording, segment: 3 });
    let path = format!("wave/record//var/spool/yate/ifbus/ifbus-{word}-3");
    assert_eq!(
        sent,
        [
            format!("chan.masquerade::id={a}:message=chan.record:call={path}-says.au:peer={path}-hears.au"),
            format!("chan.control::targetid={a}:chanparams-prefix=ifb.:ifb.ifbus_rec={word}-3"),
        ]
    );
    assert_eq!(
        said(&mut rig, Order::Record { leg: A, recording, segment: 3 }),
        [""; 0],
        "begun again it would be emptied"
    );
    assert_eq!(
        said(&mut rig, Order::StopRecord { leg: A, recording, segment: 2 }),
        [""; 0],
        "another one has ended"
    );
    let sent = said(&mut rig, Order::StopRecord { leg: A, recording, segment: 3 });
    assert_eq!(sent[0], format!("chan.masquerade::id={a}:message=chan.record:call=-:peer=-"));
    assert_eq!(said(&mut rig, Order::StopRecord { leg: A, recording, segment: 3 }), [""; 0]);
}

#[test]
fn a_drain_asks_to_be_asked() {
    let mut rig = Rig::ready();
    assert_eq!(said(&mut rig, Order::Drain { on: true }), ["%%>install:5:call.preroute"]);
    let mark = rig.sent.len();
    rig.says("%%>message:0x7f.1:1795340899:call.preroute::id=sip/9:module=sip:direction=incoming:caller=1");
    assert_eq!(rig.since(mark), ["%%<message:0x7f.1:true::-:error=service-unavailable:reason=draining"]);
    assert_eq!(said(&mut rig, Order::Drain { on: true }), [""; 0]);
    assert_eq!(said(&mut rig, Order::Drain { on: false }), ["%%>uninstall:call.preroute"]);
    let mark = rig.sent.len();
    rig.says("%%>message:0x7f.2:1795340899:call.preroute::id=sip/9:module=sip:direction=incoming");
    assert_eq!(rig.since(mark), ["%%<message:0x7f.2:false::"]);
}

#[test]
fn figures_are_asked_for_without_details() {
    let mut rig = Rig::ready();
    let mark = rig.sent.len();
    let ticket = rig.order(Order::Load);
    assert_eq!(rig.since(mark), ["engine.status::details=false"]);
    let Some(Ok(Done::Loaded(load))) = rig.answers.get(&ticket) else { panic!("{:?}", rig.answers) };
    assert_eq!((load.legs, load.legs_ever), (Some(3), Some(506)));
    let _: LegId = A;
}
