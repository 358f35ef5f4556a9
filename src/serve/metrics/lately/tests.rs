use jiff::Timestamp;

use super::Lately;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

#[test]
fn without_calls_there_is_no_ratio() {
    let figures = Lately::default().figures("pbx1", at(0));
    assert_eq!((figures.cps, figures.ended_5min, figures.asr_5min, figures.pdd_p95_s), (0.0, 0, None, None));
}

#[test]
fn figures_are_those_of_a_hand_and_slide() {
    let lately = Lately::default();
    for second in 0..100 {
        lately.begun("pbx1", at(second));
        lately.rang("pbx1", second as f64 / 10.0, at(second));
        lately.ended("pbx1", second % 4 == 0, at(second));
    }
    let figures = lately.figures("pbx1", at(99));
    assert_eq!((figures.cps, figures.ended_5min), (1.0, 100));
    assert_eq!((figures.asr_5min, figures.pdd_p95_s), (Some(0.25), Some(9.4)), "25 of 100, the 95th of 100");
    // Five minutes after the first of them the first is gone; after the last there is nothing.
    assert_eq!(lately.figures("pbx1", at(300)).ended_5min, 99);
    assert_eq!(lately.figures("pbx1", at(300)).cps, 0.0);
    let gone = lately.figures("pbx1", at(400));
    assert_eq!((gone.ended_5min, gone.asr_5min, gone.pdd_p95_s), (0, None, None));
    assert_eq!(lately.figures("pbx2", at(99)).ended_5min, 0, "each server has its own");
}

#[test]
fn one_attempt_is_its_own_percentile() {
    let lately = Lately::default();
    lately.rang("pbx1", 1.5, at(0));
    assert_eq!(lately.figures("pbx1", at(1)).pdd_p95_s, Some(1.5));
}
