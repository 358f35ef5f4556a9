//! TLS to the server: who is believed, who is not, and what an operator is told.

use std::fs;
use std::net::SocketAddr;

use ifbus_doubles::tls::{Authority, Days, Front, Identity};
use serde_json::Value;

use crate::rig::{Rig, SECRET, words_of, write};
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] = &[
    ("tls_pin_keeps_the_certificate_seen_at_add_and_calls_go", On::Each, first_use),
    ("tls_with_a_wrong_pin_never_logs_in", On::Each, wrong_pin),
    ("tls_with_a_changed_certificate_is_down_until_it_is_added_anew", On::OneDouble, changed),
    ("tls_that_does_not_come_about_is_told_in_words_that_help", On::OneDouble, reasons),
    ("tls_of_an_authority_named_in_the_file_beside_the_configuration", On::OneDouble, configured),
    ("tls_expiry_is_told_and_not_refused_where_a_pin_says_who_it_is", On::OneDouble, expiry),
];

/// The TLS ports of a rig's server: AMI, HTTP.
struct Secured {
    fronts: Option<[Front; 2]>,
    ports: [SocketAddr; 2],
}

impl Secured {
    /// Before a double; a real server has its own.
    fn of(rig: &Rig, identity: &Identity) -> Self {
        if let Some(ip) = rig.real {
            return Self { fronts: None, ports: [5039, 8089].map(|port| (ip, port).into()) };
        }
        let inside = [rig.ami, SocketAddr::new(rig.ami.ip(), rig.ari)];
        let fronts = inside.map(|inside| Front::before(inside, identity).expect("loopback has ports"));
        let ports = [fronts[0].at(), fronts[1].at()];
        Self { fronts: Some(fronts), ports }
    }

    fn words(&self, tls: &str) -> String {
        let auth = format!("user=ifbus,secret={SECRET}");
        let words = words_of("pbx1", self.ports[0], self.ports[1].port(), &auth);
        let sip = if self.fronts.is_some() { " --set sip=off" } else { "" };
        format!("{words} --set tls={tls}{sip}")
    }
}

fn identity() -> Identity {
    Identity::self_signed(&["pbx.example"], Days::default())
}

fn server(rig: &Rig) -> Value {
    rig.api().get("/v1/servers/pbx1").json()
}

fn fingerprints(server: &Value) -> Vec<&str> {
    let shown = server["certificates"].as_array().expect("a list").iter();
    shown.map(|certificate| certificate["sha256"].as_str().expect("a text")).collect()
}

fn first_use(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    let secured = Secured::of(&rig, &identity());
    let added = rig.ifbus(&secured.words("pin")).ends(0);
    assert!(added.err.contains("the first one seen, from now on the only one taken"), "{added:#?}");
    let shown = server(&rig);
    let pins = fingerprints(&shown);
    assert_eq!(pins.len(), 2, "AMI and ARI: {shown:#}");
    assert!(pins[0].len() == 64 && pins[0] == pins[1], "{shown:#}");
    assert!(added.err.contains(pins[0]), "{added:#?}");
    let listed = rig.ifbus("show server pbx1").ends(0);
    assert!(listed.out.contains(pins[0]) && listed.out.contains("first-use"), "{listed:#?}");
    let tested = rig.ifbus("test sip pbx1");
    assert!(!tested.out.contains("clear text") && tested.out.contains("an event of ours"), "{tested:#?}");
    let call = rig.talk("1001", "1002");
    let kept = fs::read_to_string(rig.data().join("certificates.json")).expect("what was trusted is kept");
    assert!(kept.contains(pins[0]) && !kept.contains(SECRET), "{kept}");
    // the next life believes the same certificate and no other
    rig.kill_9();
    rig.start_again();
    rig.until("the call is adopted", |rig| rig.calls("in-progress").contains(&call));
    assert_eq!(fingerprints(&server(&rig)), pins);
    rig.ifbus(&format!("hangup sip call_id={call}")).ends(0);
    Ok(())
}

fn wrong_pin(target: &Target) -> Result<(), Skipped> {
    let rig = Rig::open(target)?;
    let secured = Secured::of(&rig, &identity());
    let added = rig.ifbus(&secured.words(&format!("pin:{}", "ab".repeat(32)))).ends(1);
    let told = format!("{}{}", added.out, added.err);
    assert!(
        told.contains("certificate is not the pinned one: expected abababababababab.., got "),
        "{added:#?}"
    );
    let shown = server(&rig);
    assert_eq!(shown["state"], "down");
    assert_eq!(shown["version"], Value::Null, "nobody logged in");
    if let Some([ami, _]) = &secured.fronts {
        assert!(ami.refused() > 0, "the handshake itself ended");
    }
    rig.ifbus("test sip pbx1").ends(1);
    Ok(())
}

fn changed(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let (first, second) = (identity(), identity());
    let secured = Secured::of(&rig, &first);
    rig.ifbus(&secured.words("pin")).ends(0);
    let before = server(&rig);
    let fronts = secured.fronts.as_ref().expect("a double has fronts");
    fronts.iter().for_each(|front| front.show(&second));
    rig.kill_9();
    rig.ifbus("list sip").ends(0);
    let expected = &fingerprints(&before)[0][..16];
    rig.until("it is down for its certificate", |rig| {
        let note = server(rig)["note"].as_str().unwrap_or_default().to_owned();
        note.contains(&format!("certificate changed: expected {expected}.., got "))
    });
    let tested = rig.ifbus("test sip pbx1").ends(1);
    assert!(
        tested.out.contains("ifbus remove sip pbx1") || tested.err.contains("ifbus remove sip pbx1"),
        "{tested:#?}"
    );
    // the same words again are no new trust; removing and adding is
    rig.ifbus(&secured.words("pin")).ends(1);
    rig.ifbus("remove sip pbx1 --yes").ends(0);
    rig.ifbus(&secured.words("pin")).ends(0);
    assert_ne!(fingerprints(&server(&rig))[0], fingerprints(&before)[0]);
    Ok(())
}

fn reasons(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let authority = Authority::new();
    let file = rig.folder.join("ca.pem");
    write(&file, authority.pem());
    let expired = Days { from: (2020, 1, 1), until: (2021, 1, 1) };
    let here = ["127.0.0.1"];
    let of_ca = format!("ca:{}", file.display());
    for (identity, tls, words) in [
        (authority.sign(&here, expired), of_ca.as_str(), "certificate expired"),
        (
            authority.sign(&["pbx.example"], Days::default()),
            &of_ca,
            "certificate is not made out to 127.0.0.1",
        ),
        (identity(), &of_ca, "tls=pin"),
        (identity(), "ca:/no/such/file.pem", "cannot be used"),
        (identity(), "off", "tls=pin"),
    ] {
        let secured = Secured::of(&rig, &identity);
        let added = rig.ifbus(&secured.words(tls));
        // A port that waits for TLS says nothing, for as long as `add` waits: the test tells.
        let tested = rig.ifbus("test sip pbx1");
        assert!(matches!(tested.code, Some(1 | 4)), "{tls}: {tested:#?}");
        let told = [added.out, added.err, tested.out, tested.err].concat();
        assert!(told.contains(words), "{tls}, {words}: {told}");
    }
    // a port in clear text where TLS is expected
    let plain = words_of("pbx1", rig.ami, rig.ari, &format!("user=ifbus,secret={SECRET}"));
    let added = rig.ifbus(&format!("{plain} --set tls=pin --set sip=off")).ends(1);
    assert!(format!("{}{}", added.out, added.err).contains("does not speak TLS"), "{added:#?}");
    // and what is no way to trust is refused before anything is opened
    let refused = rig.ifbus(&format!("{plain} --set tls=pin:abc"));
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.err.contains("64 hexadecimal digits"), "{refused:#?}");
    Ok(())
}

fn configured(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let authority = Authority::new();
    let secured = Secured::of(&rig, &authority.sign(&["127.0.0.1"], Days::default()));
    write(&rig.folder.join("ca.pem"), authority.pem());
    write(&rig.folder.join("secret"), SECRET);
    let [ami, http] = secured.ports.map(|at| at.port());
    rig.configure(&format!(
        "[servers.pbx1]\nkind = \"asterisk\"\nhost = \"127.0.0.1\"\nport = {ami}\n\
         auth = {{ secret = \"file:secret\" }}\nset = {{ tls = \"ca:ca.pem\", ari_port = {http}, sip = \"off\" }}\n"
    ));
    rig.ifbus("list sip").ends(0);
    rig.until("it is up", |rig| server(rig)["state"] == "up" || server(rig)["state"] == "degraded");
    assert_eq!(server(&rig)["certificates"][0]["trusted"], "authority");
    Ok(())
}

fn expiry(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    let identity = Identity::self_signed(&["x"], Days { from: (2020, 1, 1), until: (2021, 1, 1) });
    let secured = Secured::of(&rig, &identity);
    let added = rig.ifbus(&secured.words("pin")).ends(0);
    assert!(added.err.contains("expired on 2021-01-01"), "{added:#?}");
    let codes: Vec<Value> = server(&rig)["warnings"].as_array().expect("a list").clone();
    assert!(codes.iter().any(|warning| warning["code"] == "certificate_expired"), "{codes:?}");
    Ok(())
}
