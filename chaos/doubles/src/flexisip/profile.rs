//! What differs between the versions that were run.

/// Behaviour of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The version in its own words.
    pub version: &'static str,
    /// Pushes name the Call-ID, and calls by a SHA-256 that can be made by others; before, by a number that cannot.
    pub names_calls: bool,
    /// OPTIONS to itself is answered with its name and version; before, only what it refuses is.
    pub names_itself: bool,
}

impl Profile {
    /// The last of 2.3.
    pub const V23: Profile = Profile { version: "2.3.3", names_calls: false, names_itself: false };

    /// The head of June 2026.
    pub const V27: Profile = Profile { version: "2.7.0-alpha", names_calls: true, names_itself: true };
}
