//! How a double is set up: version, users, endpoints, seed. The defaults are those of the laboratory
//! server (`lab/asterisk-up.sh`).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::ami::Classes;
use super::profile::Profile;

/// Everything chosen before a double starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Version to imitate.
    pub profile: Profile,
    /// Seed of all randomness.
    pub seed: u64,
    /// Wall clock at time zero, in seconds since 1970.
    pub wall: u64,
    /// Accounts by name; one list serves AMI and ARI.
    pub users: BTreeMap<String, User>,
    /// PJSIP endpoints by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Whether the context `ifbus` is there at the start.
    pub dialplan: bool,
    /// How long an AMI session may stay without login.
    pub login_within: Duration,
    /// Address the phones seem to live at (appears in contacts only).
    pub phones_at: String,
    /// How its operator has named things.
    pub style: Style,
    /// Calls through the endpoint `trunk` to a SIP URI whose host is an address go there, out of the double.
    /// [`crate::gateway::Studio`] carries them out.
    pub outside: bool,
}

/// What an operator, or the product an Asterisk is inside of, has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The technology of telephones and trunks.
    pub tech: &'static str,
    /// The context of the telephones.
    pub inside: &'static str,
    /// What stands before the ids of channels.
    pub system: &'static str,
}

impl Style {
    /// The laboratory's.
    pub const LAB: Style = Style { tech: "PJSIP", inside: "internal", system: "lab-" };
    /// That of Issabel with chan_sip (sheet elastix, section 5).
    pub const ISSABEL: Style = Style { tech: "SIP", inside: "from-internal", system: "" };
}

/// One account.
#[derive(Clone)]
pub struct User {
    /// Password of AMI login and ARI.
    pub secret: String,
    /// Event classes the user may see.
    pub read: Classes,
    /// Action classes the user may use.
    pub write: Classes,
    /// ARI requests that change something are refused.
    pub ari_read_only: bool,
    /// Login is refused whatever the secret (address not permitted).
    pub refused: bool,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("read", &self.read).field("write", &self.write).finish_non_exhaustive()
    }
}

/// One PJSIP endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is reached.
    pub contact: Contact,
    /// Dialplan context of its channels.
    pub context: String,
    /// It has a caller id of its own (`Phone 1001 <1001>`).
    pub named: bool,
}

/// State of an endpoint's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// A fixed address that is never probed.
    Fixed,
    /// A fixed address probed by OPTIONS.
    Qualified,
    /// Must register and has not.
    Unregistered,
    /// A fixed, probed address that never answers.
    Dead,
}

impl Default for Options {
    fn default() -> Self {
        Options::new(Profile::V22)
    }
}

impl Options {
    /// The laboratory server in one of its versions.
    ///
    /// `ifbus` (secret `ifbus-secret`) has the rights that the sheet's section 3 asks of an operator,
    /// `admin` (`admin-secret`) has all, `viewer` (`viewer-secret`) may only look, `far` (`far-secret`)
    /// is refused by address.
    pub fn new(profile: Profile) -> Self {
        Self::with_style(profile, Style::LAB)
    }

    /// The same telephones and accounts on a server of another style.
    pub fn with_style(profile: Profile, style: Style) -> Self {
        let user = |secret: &str, read: &str, write: &str| User {
            secret: secret.to_owned(),
            read: Classes::parse(read),
            write: Classes::parse(write),
            ari_read_only: false,
            refused: false,
        };
        let needed = "system,call,agent,user,dtmf,reporting";
        let users = BTreeMap::from([
            ("ifbus".into(), user("ifbus-secret", needed, "system,call,originate,reporting,user")),
            ("admin".into(), user("admin-secret", "all", "all")),
            ("md5user".into(), user("md5-secret", "all", "all")),
            ("viewer".into(), User { ari_read_only: true, ..user("viewer-secret", "call", "reporting") }),
            ("far".into(), User { refused: true, ..user("far-secret", "all", "all") }),
        ]);
        let mut options = Options {
            profile,
            seed: 1,
            wall: 1_795_500_000,
            users,
            endpoints: BTreeMap::new(),
            dialplan: true,
            login_within: Duration::from_secs(30),
            phones_at: "127.0.10.2".into(),
            style,
            outside: false,
        }
        .with_phones(1001..=1008);
        for number in ["1009", "1010"] {
            options.endpoint(number, Contact::Unregistered, style.inside, true);
        }
        options.endpoint("mohpass", Contact::Fixed, style.inside, false);
        options.endpoint("trunk", Contact::Qualified, "from-trunk", false);
        options.endpoint("deadtrunk", Contact::Dead, "from-trunk", false);
        options
    }

    /// Adds phones with a fixed address.
    #[must_use]
    pub fn with_phones(mut self, numbers: RangeInclusive<u32>) -> Self {
        for number in numbers {
            self.endpoint(&number.to_string(), Contact::Fixed, self.style.inside, true);
        }
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    fn endpoint(&mut self, name: &str, contact: Contact, context: &str, named: bool) {
        self.endpoints.insert(name.into(), Endpoint { contact, context: context.into(), named });
    }
}
