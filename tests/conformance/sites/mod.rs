//! Every server that is tried, kind by kind.

mod anchored;
mod asterisk;
mod elastix;
mod flexisip;
mod freeswitch;
mod kamailio;
mod opensips;
mod yate;

use crate::site::Target;

/// All of them; `IFBUS_TARGETS` chooses those that have the word in their name.
pub fn targets() -> Vec<Target> {
    let wanted = std::env::var("IFBUS_TARGETS").unwrap_or_default();
    let all = [
        anchored::targets(),
        asterisk::targets(),
        elastix::targets(),
        flexisip::targets(),
        freeswitch::targets(),
        kamailio::targets(),
        opensips::targets(),
        yate::targets(),
    ];
    all.into_iter().flatten().filter(|target| target.name.contains(&wanted)).collect()
}
