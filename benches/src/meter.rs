//! What is measured with: CPU time of threads and of this process, resident memory, medians of rounds.
//!
//! Nothing here looks at wall time; two shared cores would make it a lottery. See `figure.rs` for what is shown.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of this thread since it began.
pub fn thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let whole = Duration::from_secs(time.tv_sec.unsigned_abs());
    whole + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// CPU time of every thread of this process, by name, as the scheduler counts it. Threads of one name are added up.
pub fn threads() -> BTreeMap<String, Duration> {
    let mut found = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let ran = text("schedstat").split(' ').next().and_then(|ran| ran.parse().ok()).unwrap_or(0);
        *found.entry(text("comm").trim().to_owned()).or_default() += Duration::from_nanos(ran);
    }
    found
}

/// CPU time of the threads whose names begin so.
pub fn named(prefixes: &[&str]) -> Duration {
    let of_them = |name: &String| prefixes.iter().any(|prefix| name.starts_with(prefix));
    threads().iter().filter(|(name, _)| of_them(name)).map(|(_, ran)| *ran).sum()
}

/// Resident memory of this process in bytes, without what is shared with a file.
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The median; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this part of the values lies; 0 of nothing.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or(0.0)
}

/// Runs the sides one after the other, round by round; the median of each. What disturbs a round disturbs all its sides.
pub fn rounds<const N: usize>(count: usize, sides: [&mut dyn FnMut() -> f64; N]) -> [f64; N] {
    let mut seen = [const { Vec::new() }; N];
    for round in 0..count {
        // The order turns, so that nobody always comes first.
        for turn in 0..N {
            let side = (round + turn) % N;
            seen[side].push(sides[side]());
        }
    }
    seen.map(|values| median(&values))
}
