//! The call machine against a simple model of a server and its phones: random verbs, answers, refusals, lost links,
//! late, doubled and lost events. Whatever happens, a call ends exactly once, nobody rings twice, a failed transfer
//! never costs the call, and no leg is left behind.
//!
//! `transitions.rs` says what can happen, `reference.rs` is the truth, `sut.rs` the machine under test beside it,
//! `assertions.rs` what must hold.

mod assertions;
mod reference;
mod sut;
mod transitions;

use proptest::prelude::*;

use sut::Pair;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_call_ends_exactly_once_and_leaves_nothing_behind(steps in transitions::steps(60)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step);
            assertions::hold(&pair);
        }
        pair.heal();
        assertions::hold_at_rest(&pair);
        pair.hang_up();
        assertions::hold_at_the_end(&pair);
    }

    #[test]
    fn a_party_called_into_a_conference_ends_exactly_once(steps in transitions::steps(40)) {
        let mut pair = Pair::member();
        for step in &steps {
            pair.step(step);
            assertions::hold(&pair);
        }
        pair.heal();
        assertions::hold_at_rest(&pair);
        pair.hang_up();
        assertions::hold_at_the_end(&pair);
    }

    #[test]
    fn a_failed_transfer_never_costs_the_call(steps in transitions::transfers(40)) {
        let mut pair = Pair::in_progress();
        for step in &steps {
            pair.step(step);
            assertions::hold(&pair);
        }
        pair.heal();
        assertions::the_parties_still_talk_or_are_held(&pair);
        pair.hang_up();
        assertions::hold_at_the_end(&pair);
    }

    #[test]
    fn a_phones_own_transfer_is_never_cut(steps in transitions::keys_and_verbs(40)) {
        let mut pair = Pair::in_progress();
        for step in &steps {
            pair.step(step);
            assertions::hold(&pair);
        }
        pair.heal();
        assertions::the_moved_talk_goes_on(&pair);
        pair.hang_up();
        assertions::hold_at_the_end(&pair);
    }

    #[test]
    fn a_call_is_adopted_from_whatever_the_server_lists(steps in transitions::steps(40), stored in any::<bool>()) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step);
        }
        let talked = pair.server.someone_talks();
        pair.killed_and_adopted(stored);
        assertions::hold(&pair);
        pair.heal();
        if talked {
            assertions::the_talk_was_not_cut(&pair);
        }
        assertions::hold_at_rest(&pair);
        pair.hang_up();
        assertions::hold_at_the_end(&pair);
    }
}

/// How many random histories are tried: `PROPTEST_CASES` for the long form.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}
