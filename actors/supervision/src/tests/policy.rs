//! Backoff and window, without any actor.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::BadPolicy;
use crate::policy::{Verdict, Window};

#[test]
fn an_invalid_policy_cannot_be_built() {
    let (short, long) = (Duration::from_millis(10), SECOND);
    let refused = |min, max, factor, jitter| Backoff::new(min, max, factor, jitter).unwrap_err();
    assert_eq!(refused(Duration::ZERO, long, 2.0, 0.1), BadPolicy::TooShort(Duration::ZERO));
    assert_eq!(refused(long, short, 2.0, 0.1), BadPolicy::Longest { min: long, max: short });
    let day = Duration::from_secs(86_400);
    assert_eq!(refused(short, day, 2.0, 0.1), BadPolicy::Longest { min: short, max: day });
    assert_eq!(refused(short, long, 0.9, 0.1), BadPolicy::Factor(0.9));
    assert!(matches!(refused(short, long, f64::NAN, 0.1), BadPolicy::Factor(_)));
    assert_eq!(refused(short, long, 2.0, 1.1), BadPolicy::Jitter(1.1));
    assert!(matches!(refused(short, long, 2.0, f64::NAN), BadPolicy::Jitter(_)));
    assert_eq!(Policy::new(Backoff::default(), 1, Duration::ZERO), Err(BadPolicy::Window));
}

#[test]
fn delays_double_up_to_the_longest() {
    let backoff = Backoff::new(SECOND, SECOND * 10, 2.0, 0.0).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let delays: Vec<_> =
        [0, 1, 2, 3, 4, 1_000, u32::MAX].map(|n| backoff.delay(n, &mut rng).as_secs()).to_vec();
    assert_eq!(delays, [1, 2, 4, 8, 10, 10, 10]);
}

proptest! {
    #[test]
    fn a_delay_never_leaves_its_bounds(
        min in 1u64..5_000, more in 0u64..100_000, factor in 1.0f64..=100.0, jitter in 0.0f64..=1.0,
        attempt: u32, seed: u64,
    ) {
        let (shortest, longest) = (Duration::from_millis(min), Duration::from_millis(min + more));
        let backoff = Backoff::new(shortest, longest, factor, jitter).unwrap();
        let delay = backoff.delay(attempt, &mut StdRng::seed_from_u64(seed));
        prop_assert!(delay <= longest && delay >= Duration::from_millis(1));
        prop_assert!(delay.as_secs_f64() >= shortest.as_secs_f64() * (1.0 - jitter) - 1e-6);
    }

    #[test]
    fn never_more_restarts_within_a_window_than_allowed(
        pauses in prop::collection::vec(0u64..40, 1..200), restarts_max in 0u32..6,
    ) {
        let span = Duration::from_secs(100);
        let policy = Policy::new(Backoff::default(), restarts_max, span).unwrap();
        let mut window = Window::new(policy);
        let mut rng = StdRng::seed_from_u64(1);
        let (mut now, mut granted) = (Duration::ZERO, Vec::<Duration>::new());
        for pause in pauses {
            now += Duration::from_secs(pause);
            let recent = granted.iter().filter(|at| now - **at < span).count();
            let allowed = recent < restarts_max as usize;
            let rests = matches!(window.judge(now, &mut rng), Verdict::Rest(_));
            prop_assert_eq!(rests, allowed);
            if rests {
                granted.push(now);
            }
        }
    }
}
