//! Finding calls by the end of their id, and forgetting old ones.

use ifbus_call::CallId;
use jiff::Timestamp;

use crate::board::{Board, ENDED_MAX, Match};
use crate::view::{CallView, Status};

fn call(id: CallId, status: Status) -> CallView {
    CallView {
        status,
        ..CallView::new(id, "1".parse().unwrap(), "2".parse().unwrap(), Timestamp::UNIX_EPOCH)
    }
}

#[test]
fn any_unique_ending_finds_a_call_in_any_case() {
    let board = Board::default();
    let id = CallId::new(1, 0xABCDEF);
    board.show_call(call(id, Status::Ringing));
    let text = id.to_string();
    for ending in [&text[..], &text[2..], &text[22..], &text[22..].to_lowercase()] {
        assert_eq!(board.find_call(ending), Match::One(id), "{ending}");
    }
    for ending in ["", "ZZZZZZ", "c_", &"0".repeat(40)] {
        assert_eq!(board.find_call(ending), Match::Nothing, "{ending}");
    }
}

#[test]
fn an_ambiguous_ending_lists_its_candidates_and_living_calls_win() {
    let board = Board::default();
    let (a, b) = (CallId::new(1, 5), CallId::new(2, 5));
    board.show_call(call(a, Status::Ringing));
    board.show_call(call(b, Status::InProgress));
    assert_eq!(board.find_call("000005"), Match::Several(vec![b, a]));
    board.show_call(call(b, Status::Completed));
    assert_eq!(board.find_call("000005"), Match::One(a));
}

#[test]
fn the_oldest_ended_calls_are_forgotten_and_living_ones_never() {
    let board = Board::default();
    let living = CallId::new(0, 1);
    board.show_call(call(living, Status::InProgress));
    for n in 0..ENDED_MAX as u64 + 5 {
        board.show_call(call(CallId::new(n + 1, 2), Status::Completed));
    }
    assert_eq!(board.calls().len(), ENDED_MAX + 1);
    assert!(board.call(living).is_some() && board.call(CallId::new(1, 2)).is_none());
}
