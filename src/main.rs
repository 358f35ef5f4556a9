//! ifbus: one control plane over a mixed fleet of SIP servers.

fn main() {}
