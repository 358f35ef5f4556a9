//! What differs between the versions that were recorded (sheet kamailio, sections 1 and 2).

/// Behaviour of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The version in its own words.
    pub version: &'static str,
    /// Methods that 5.6.3 does not have.
    pub more: &'static [&'static str],
}

impl Profile {
    /// As in Debian 12.
    pub const V56: Profile = Profile { version: "5.6.3", more: &[] };

    /// As in Debian forky.
    pub const V61: Profile = Profile {
        version: "6.1.5",
        more: &[
            "dispatcher.oclist",
            "modparam.get_int",
            "modparam.get_str",
            "shm.rprint",
            "tm.retransmit_reply",
            "tm.t_uac_start_hex",
            "tm.t_uac_start_noack",
            "tm.t_uac_wait_hex",
            "tm.t_uac_wait_noack",
        ],
    };
}
