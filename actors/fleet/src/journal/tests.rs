//! Numbers without gaps, gaps that are announced, readers that do not disturb each other.

use jiff::Timestamp;

use crate::journal::{Fact, Journal, Read};

fn journal(max: usize, events: u64) -> Journal {
    let journal = Journal::new("boot", max);
    for n in 1..=events {
        journal.append(Fact::new("test", Timestamp::UNIX_EPOCH, n.to_string()));
    }
    journal
}

fn numbers(journal: &Journal, after: u64) -> (Vec<u64>, Option<(u64, u64)>) {
    let mut reader = journal.reader(Some(after));
    let (mut numbers, mut gap) = (vec![], None);
    while let Some(read) = reader.try_next() {
        match read {
            Read::Event(event) => numbers.push(event.seq),
            Read::Gap { from, to } => gap = Some((from, to)),
        }
    }
    (numbers, gap)
}

#[test]
fn events_are_numbered_from_one_without_gaps() {
    assert_eq!(numbers(&journal(10, 3), 0), (vec![1, 2, 3], None));
}

#[test]
fn a_reader_resumes_after_any_event() {
    let journal = journal(10, 5);
    for after in 0..=5 {
        assert_eq!(numbers(&journal, after), ((after + 1..=5).collect(), None));
    }
}

#[test]
fn what_is_not_kept_any_more_is_announced_exactly() {
    assert_eq!(numbers(&journal(3, 10), 4), (vec![8, 9, 10], Some((5, 7))));
}

#[test]
fn an_id_of_another_boot_has_no_number() {
    let journal = journal(3, 1);
    assert_eq!(journal.number("boot-1"), Some(1));
    for id in ["other-1", "boot", "boot-x", "-", ""] {
        assert_eq!(journal.number(id), None);
    }
}

#[test]
fn a_reader_that_waits_is_woken() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let journal = journal(3, 0);
        let mut reader = journal.reader(None);
        let append = async { journal.append(Fact::new("late", Timestamp::UNIX_EPOCH, "x")) };
        let (read, ()) = tokio::join!(reader.next(), append);
        assert!(matches!(read, Some(Read::Event(event)) if event.fact.kind == "late"));
    });
}
