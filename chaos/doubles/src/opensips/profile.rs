//! What differs between the versions that were recorded (sheet opensips, section 3).

/// Behaviour of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The version in its own words.
    pub version: &'static str,
    /// Commands have a module before their names; the old names are aliases, short ones may be ambiguous.
    pub modules: bool,
    /// HTTP may ask for Basic authentication.
    pub basic: bool,
}

impl Profile {
    /// The long-term branch.
    pub const V36: Profile = Profile { version: "3.6.8", modules: false, basic: false };

    /// The newest.
    pub const V40: Profile = Profile { version: "4.0.1", modules: true, basic: true };
}
