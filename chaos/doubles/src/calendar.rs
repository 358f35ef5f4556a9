//! Seconds since 1970 as people write them (UTC).

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month, day.
pub(crate) fn date(seconds: u64) -> (i64, i64, i64) {
    // Days since 1970 to a civil date (the well-known era arithmetic, 0000-03-01 based).
    let z = (seconds / 86400) as i64 + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// `Sun Nov 22 09:46:08 2026`, as `ctime` writes it.
pub(crate) fn ctime(seconds: u64) -> String {
    let (year, month, day) = date(seconds);
    let rest = seconds % 86400;
    let weekday = DAYS[(seconds / 86400 % 7) as usize];
    let month = MONTHS[(month - 1) as usize];
    format!("{weekday} {month} {day:2} {:02}:{:02}:{:02} {year}", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_moment_is_written_as_it_was_recorded() {
        assert_eq!(super::ctime(1_795_340_768), "Sun Nov 22 09:46:08 2026");
    }
}
