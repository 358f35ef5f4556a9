//! Every server that is tried, kind by kind.

mod asterisk;

use crate::site::Target;

/// All of them.
pub fn targets() -> Vec<Target> {
    asterisk::targets()
}
