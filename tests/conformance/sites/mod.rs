//! Every server that is tried, kind by kind.

mod asterisk;
mod elastix;

use crate::site::Target;

/// All of them.
pub fn targets() -> Vec<Target> {
    [asterisk::targets(), elastix::targets()].into_iter().flatten().collect()
}
