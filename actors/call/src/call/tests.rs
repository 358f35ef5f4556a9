//! Single stories of a call; the random ones are in `tests/model`.

use std::time::Duration;

use super::{Effect, Goal, Input, NewCall, Notice, OrderNumber, Phase};
use crate::{
    By, Call, CallId, Cause, Done, End, Event, Evidence, LegId, Mode, Nanos, NotNow, Order, Refused, Role,
    Said, Seen, Stage, Verb, Wait, Why,
};

const A: LegId = LegId(1);
const B: LegId = LegId(2);
const C: LegId = LegId(3);

/// A call, and what it wanted since the last look.
struct Story {
    call: Call,
    orders: Vec<(OrderNumber, Order)>,
    notices: Vec<Notice>,
    end: Option<End>,
    now: Nanos,
}

impl Story {
    fn begin() -> Self {
        let new = NewCall {
            id: CallId::new(1, 2),
            from: "1001".parse().unwrap(),
            to: "1002".parse().unwrap(),
            caller: None,
            within: Duration::from_secs(30),
            legs: [A, B],
            record: None,
        };
        let call = Call::place(new, Nanos::ZERO);
        let mut story = Self { call, orders: vec![], notices: vec![], end: None, now: Nanos::ZERO };
        story.look();
        story
    }

    fn in_progress() -> Self {
        let mut story = Self::begin();
        story.done();
        story.event(Event::Answered(A));
        story.done();
        story.event(Event::Answered(B));
        story.done();
        assert_eq!(story.notices.last(), Some(&Notice::Answered));
        story
    }

    fn look(&mut self) {
        while let Some(effect) = self.call.poll() {
            match effect {
                Effect::Order(number, order) => self.orders.push((number, order)),
                Effect::Notice(notice) => self.notices.push(notice),
                Effect::Finished(end) => self.end = Some(end),
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.call.handle(input, self.now);
        self.look();
    }

    fn event(&mut self, event: Event) {
        self.input(Input::Event(event));
    }

    /// The oldest open order is carried out.
    fn done(&mut self) {
        let (number, _) = self.orders.remove(0);
        self.input(Input::Outcome(number, Ok(Done::Proven)));
    }

    fn refused(&mut self, why: Why, evidence: Evidence, cause: Cause) {
        let (number, _) = self.orders.remove(0);
        self.input(Input::Outcome(number, Err(Refused { why, evidence, cause, said: None })));
    }

    fn verb(&mut self, verb: Verb) -> Result<super::Accepted, NotNow> {
        let accepted = self.call.verb(verb, C, self.now);
        self.look();
        accepted
    }

    fn transfer(&mut self, mode: Mode) {
        self.verb(Verb::Transfer { to: "1003".parse().unwrap(), mode, role: None }).unwrap();
    }

    fn ended(leg: LegId, cause: Cause, by: By) -> Event {
        Event::Ended { leg, cause, by, said: Said::new(Some(17), "User busy") }
    }

    fn open(&self) -> Vec<&Order> {
        self.orders.iter().map(|(_, order)| order).collect()
    }
}

#[test]
fn the_first_phone_sees_the_second_as_caller_and_hears_ringback() {
    let story = Story::begin();
    let [Order::Dial(dial)] = story.open()[..] else { panic!("{:?}", story.orders) };
    assert_eq!((dial.leg, dial.caller.as_str(), dial.wait, dial.toward), (A, "1002", Wait::Ringback, None));
    assert_eq!((dial.tag.role, dial.tag.party.as_str()), (Role::A, "1001"));
}

#[test]
fn the_second_phone_is_rung_only_when_the_first_has_answered() {
    let mut story = Story::begin();
    story.done();
    story.event(Event::Ringing(A));
    assert!(story.orders.is_empty());
    assert_eq!(story.call.phase(), Phase::Ringing);
    story.event(Event::Answered(A));
    let [Order::Dial(dial)] = story.open()[..] else { panic!("{:?}", story.orders) };
    assert_eq!((dial.leg, dial.caller.as_str(), dial.toward), (B, "1001", Some(A)));
}

#[test]
fn a_busy_second_phone_ends_the_call_as_busy_and_releases_the_first() {
    let mut story = Story::begin();
    story.done();
    story.event(Event::Answered(A));
    story.done();
    story.event(Story::ended(B, Cause::Busy, By::Party));
    assert_eq!(story.open(), [&Order::Drop { leg: A, cause: Cause::Busy }]);
    assert_eq!(story.end, None, "not over while a leg lives");
    story.event(Story::ended(A, Cause::Answered, By::Us));
    let end = story.end.unwrap();
    assert_eq!(
        (end.cause, end.role, end.said.code, end.nobody_rang),
        (Cause::Busy, Some(Role::B), Some(17), false)
    );
}

#[test]
fn a_server_that_refuses_the_first_leg_leaves_the_call_free_to_go_elsewhere() {
    let mut story = Story::begin();
    story.refused(Why::Refused, Evidence::NotDone, Cause::Unreachable);
    let end = story.end.unwrap();
    assert_eq!((end.cause, end.nobody_rang), (Cause::Unreachable, true));
}

#[test]
fn a_first_leg_without_proof_is_dropped_and_the_call_goes_nowhere_else() {
    let mut story = Story::begin();
    story.refused(Why::Unproven, Evidence::Unknown, Cause::ServerFailure);
    assert_eq!(story.open(), [&Order::Drop { leg: A, cause: Cause::ServerFailure }]);
    story.done();
    assert!(!story.end.unwrap().nobody_rang);
}

#[test]
fn a_dial_lost_with_the_link_waits_for_the_servers_list() {
    let mut story = Story::begin();
    story.refused(Why::LinkLost, Evidence::Unknown, Cause::ServerFailure);
    assert_eq!((story.end.is_none(), story.orders.len()), (true, 0));
    let later = story.now + Duration::from_secs(1);
    story.input(Input::Listed { seen: vec![], asked: later, rebooted: false });
    assert!(story.end.unwrap().nobody_rang, "the server knows no such leg");
}

#[test]
fn without_evidence_the_call_ends_when_its_time_to_ring_is_over() {
    let mut story = Story::begin();
    story.refused(Why::LinkLost, Evidence::Unknown, Cause::ServerFailure);
    story.now = story.call.deadline().unwrap();
    story.input(Input::Tick);
    let end = story.end.unwrap();
    assert_eq!((end.cause, end.nobody_rang, end.unconfirmed), (Cause::ServerFailure, false, vec![A]));
}

#[test]
fn hanging_up_before_the_answer_cancels() {
    let mut story = Story::begin();
    story.done();
    story.event(Event::Ringing(A));
    story.verb(Verb::Hangup).unwrap();
    assert_eq!(story.open(), [&Order::Drop { leg: A, cause: Cause::Canceled }]);
    story.done();
    assert_eq!(story.end.unwrap().cause, Cause::Canceled);
}

#[test]
fn a_leg_that_is_being_made_is_dropped_only_when_the_server_has_answered() {
    let mut story = Story::begin();
    story.verb(Verb::Hangup).unwrap();
    assert!(matches!(story.open()[..], [Order::Dial(_)]), "a drop now could come before the leg");
    story.done();
    assert_eq!(story.open(), [&Order::Drop { leg: A, cause: Cause::Canceled }]);
}

#[test]
fn hold_parks_the_second_party_and_resume_joins_again() {
    let mut story = Story::in_progress();
    story.verb(Verb::Hold { role: None }).unwrap();
    assert!(matches!(story.open()[..], [Order::Park { held: B, other: A, .. }]));
    story.event(Event::Parted(A));
    story.event(Event::Parted(B));
    assert!(!story.notices.contains(&Notice::Held), "accepted is not done");
    story.done();
    assert_eq!((story.notices.last(), story.call.is_held()), (Some(&Notice::Held), true));
    assert_eq!(story.verb(Verb::Hold { role: None }), Ok(super::Accepted::AlreadySo));
    story.verb(Verb::Resume).unwrap();
    story.done();
    assert_eq!((story.notices.last(), story.call.is_held()), (Some(&Notice::Resumed), false));
}

#[test]
fn a_second_verb_is_refused_while_the_first_is_under_way() {
    let mut story = Story::in_progress();
    story.verb(Verb::Hold { role: None }).unwrap();
    assert_eq!(story.verb(Verb::Resume), Err(NotNow::Busy("hold")));
    assert_eq!(story.orders.len(), 1);
}

#[test]
fn verbs_before_the_answer_are_refused() {
    let mut story = Story::begin();
    for verb in [Verb::Hold { role: None }, Verb::Resume, Verb::CompleteTransfer, Verb::CancelTransfer] {
        assert!(matches!(story.verb(verb), Err(NotNow::WrongState { .. })));
    }
}

#[test]
fn a_blind_transfer_moves_the_second_party_to_the_target() {
    let mut story = Story::in_progress();
    story.transfer(Mode::Blind);
    let [Order::Dial(dial)] = story.open()[..] else { panic!("{:?}", story.orders) };
    assert_eq!((dial.leg, dial.toward, dial.tag.role, dial.caller.as_str()), (C, Some(B), Role::C, "1002"));
    story.done();
    story.event(Event::Answered(C));
    assert_eq!(story.open(), [&Order::Join { a: B, b: C }]);
    story.event(Event::Joined(B, C));
    story.done();
    assert!(story.notices.contains(&Notice::Transferred));
    assert_eq!(story.open(), [&Order::Drop { leg: A, cause: Cause::Answered }]);
    story.event(Story::ended(A, Cause::Answered, By::Server));
    assert_eq!(story.call.goal(), &Goal::Talk { a: B, b: C });
    assert_eq!(story.end, None);
}

#[test]
fn a_blind_transfer_to_a_busy_target_costs_nothing() {
    let mut story = Story::in_progress();
    story.transfer(Mode::Blind);
    story.done();
    story.event(Story::ended(C, Cause::Busy, By::Party));
    assert!(matches!(story.notices.last(), Some(Notice::TransferFailed { cause: Cause::Busy, .. })));
    assert_eq!((story.orders.len(), story.call.goal()), (0, &Goal::Talk { a: A, b: B }));
}

#[test]
fn an_attended_transfer_asks_first_and_completes_later() {
    let mut story = Story::in_progress();
    story.transfer(Mode::Attended);
    assert!(matches!(story.open()[..], [Order::Park { held: B, other: A, .. }]));
    story.done();
    story.done();
    story.event(Event::Answered(C));
    assert_eq!(story.open(), [&Order::Join { a: A, b: C }]);
    story.done();
    assert_eq!(story.notices.last(), Some(&Notice::Consulting));
    story.verb(Verb::CompleteTransfer).unwrap();
    assert_eq!(story.open(), [&Order::Join { a: B, b: C }]);
    story.event(Story::ended(A, Cause::Answered, By::Server));
    story.done();
    assert!(story.notices.contains(&Notice::Transferred));
    assert_eq!((story.end.is_none(), story.call.goal()), (true, &Goal::Talk { a: B, b: C }));
}

#[test]
fn canceling_an_attended_transfer_ends_a_ringing_target_before_the_pair_is_joined() {
    let mut story = Story::in_progress();
    story.transfer(Mode::Attended);
    story.done();
    story.done();
    story.verb(Verb::CancelTransfer).unwrap();
    assert_eq!(story.open(), [&Order::Drop { leg: C, cause: Cause::Answered }]);
    story.done();
    assert_eq!(story.open(), [&Order::Join { a: A, b: B }]);
    story.done();
    assert_eq!(story.notices.last(), Some(&Notice::TransferCanceled));
}

#[test]
fn a_target_that_hangs_up_while_asked_brings_the_old_pair_together() {
    let mut story = Story::in_progress();
    story.transfer(Mode::Attended);
    story.done();
    story.done();
    story.event(Event::Answered(C));
    story.done();
    story.event(Event::Parted(A));
    story.event(Story::ended(C, Cause::Answered, By::Party));
    assert_eq!(story.open(), [&Order::Join { a: A, b: B }]);
    story.done();
    assert_eq!(story.end, None);
}

#[test]
fn a_party_that_hangs_up_ends_the_call_once() {
    let mut story = Story::in_progress();
    story.event(Event::Parted(B));
    story.event(Event::Parted(A));
    assert_eq!(story.orders.len(), 0, "a talk that ends comes apart first and is not joined again");
    story.event(Story::ended(B, Cause::Answered, By::Party));
    story.event(Story::ended(A, Cause::Answered, By::Server));
    let end = story.end.take().unwrap();
    assert_eq!((end.cause, end.by, end.role), (Cause::Answered, By::Party, Some(Role::B)));
    story.event(Story::ended(A, Cause::Answered, By::Server));
    assert_eq!(story.end, None);
}

#[test]
fn who_hung_up_is_told_although_the_server_released_the_other_first() {
    let mut story = Story::in_progress();
    story.event(Story::ended(A, Cause::Answered, By::Server));
    story.event(Story::ended(B, Cause::Answered, By::Party));
    let end = story.end.take().unwrap();
    assert_eq!((end.by, end.role), (By::Party, Some(Role::B)));
}

#[test]
fn a_hangup_while_the_server_is_away_is_remembered() {
    let mut story = Story::in_progress();
    story.input(Input::Disconnected);
    assert_eq!(story.verb(Verb::Hold { role: None }), Err(NotNow::Disconnected));
    story.verb(Verb::Hangup).unwrap();
    assert_eq!(story.orders.len(), 0);
    let seen =
        vec![seen(&story.call, A, Role::A, Some(B), false), seen(&story.call, B, Role::B, Some(A), false)];
    let asked = story.now + Duration::from_secs(1);
    story.input(Input::Listed { seen, asked, rebooted: false });
    assert_eq!(story.orders.len(), 2, "both legs are told to end");
}

#[test]
fn a_server_started_anew_ends_its_calls_as_server_failure() {
    let mut story = Story::in_progress();
    story.input(Input::Disconnected);
    story.input(Input::Listed { seen: vec![], asked: story.now + Duration::from_secs(1), rebooted: true });
    assert_eq!(story.end.unwrap().cause, Cause::ServerFailure);
}

#[test]
fn a_held_call_is_adopted_as_held() {
    let story = Story::in_progress();
    let list = [seen(&story.call, A, Role::A, None, false), seen(&story.call, B, Role::B, None, true)];
    let mut call = Call::adopt(story.call.id(), &list, super::Stored::default(), C, Nanos::ZERO).unwrap();
    assert_eq!((call.goal(), call.phase()), (&Goal::Hold { held: B, other: A }, Phase::InProgress));
    assert_eq!(call.poll(), None, "nothing has to be done");
}

#[test]
fn a_leg_found_alone_is_ended_because_its_partner_may_have_rung() {
    let story = Story::in_progress();
    let list = [seen(&story.call, A, Role::A, None, false)];
    let mut call = Call::adopt(story.call.id(), &list, super::Stored::default(), C, Nanos::ZERO).unwrap();
    assert!(matches!(call.poll(), Some(Effect::Order(_, Order::Drop { leg: A, .. }))));
}

fn seen(call: &Call, leg: LegId, role: Role, partner: Option<LegId>, hears_music: bool) -> Seen {
    let party = if role == Role::A { call.from() } else { call.to() };
    Seen {
        conference: None,
        leg,
        tag: Some(crate::Tag {
            call: call.id(),
            role,
            party: party.clone(),
            from: call.from().clone(),
            to: call.to().clone(),
        }),
        native: leg.to_string(),
        stage: Stage::Up,
        partners: partner.into_iter().collect(),
        moved: None,
        hears_music,
        party: party.to_string(),
        age: Duration::ZERO,
    }
}
