//! Every kind by its signs, hostile banners, silence.

use std::any::Any;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use ifbus_call::Kind;
use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use ifbus_doubles::tls::{Authority, Front};
use ifbus_doubles::{elastix, flexisip, freeswitch, kamailio, opensips, yate};

use super::{Ask, DetectBody, SAID_MAX, conclude, detect, sign};

fn asked(host: &str, port: Option<u16>) -> DetectBody {
    DetectBody { host: host.to_owned(), port }
}

#[test]
fn point_10_each_kind_is_named_by_its_own_words() {
    let sip = |server: &str| format!("SIP/2.0 200 OK\r\nVia: x\r\nServer: {server}\r\n\r\n");
    for (how, said, kind) in [
        (Ask::Banner, "Asterisk Call Manager/11.0.0\r\n".to_owned(), Some("asterisk")),
        (Ask::Banner, "Content-Type: auth/request\n\n".to_owned(), Some("freeswitch")),
        (Ask::Banner, "YATE 6.4.1-1 r (http://YATE.null.ro) ready.\r\n".to_owned(), Some("yate")),
        (Ask::Banner, "220 mail ready\r\n".to_owned(), None),
        (Ask::Engine, "%%<setlocal:engine.version:6.4.1:true\n".to_owned(), Some("yate")),
        (Ask::Engine, "Asterisk Call Manager/11.0.0\r\n".to_owned(), None),
        (Ask::Http, "HTTP/1.1 401 Unauthorized\r\nServer: Asterisk/22\r\nWWW-Authenticate: Basic realm=\"Asterisk REST Interface\"\r\n\r\n".to_owned(), Some("asterisk")),
        (Ask::Http, "HTTP/1.1 404 Not Found\r\nServer: nginx\r\n\r\n".to_owned(), None),
        (Ask::Http, "HTTP/1.1 401 Unauthorized\r\nSia: SIP/2.0/TCP 127.0.0.1:1\r\nServer: kamailio (5.6.3 (x86_64/linux))\r\n\r\n".to_owned(), Some("kamailio")),
        (Ask::Options, sip("Asterisk PBX 22.10.1"), Some("asterisk")),
        (Ask::Options, sip("FreeSWITCH-mod_sofia/1.10.12"), Some("freeswitch")),
        (Ask::Options, sip("kamailio (5.6.3 (x86_64/linux))"), Some("kamailio")),
        (Ask::Options, sip("OpenSIPS (3.2.1 (x86_64/linux))"), Some("opensips")),
        (Ask::Options, sip("Flexisip/2.4"), Some("flexisip")),
        (Ask::Options, sip("YATE/6.4"), Some("yate")),
        (Ask::Options, sip("IssabelPBX-5.0(16.21)"), Some("elastix")),
        (Ask::Options, sip("a phone"), None),
        (Ask::Options, "SIP/2.0 200 OK\r\n\r\nServer: asterisk".to_owned(), None),
    ] {
        assert_eq!(sign("1/tcp".to_owned(), how, &said).kind.as_deref(), kind, "{said}");
    }
}

#[test]
fn the_kind_with_most_signs_wins_and_the_others_are_counted() {
    let of = |said: &str| sign("5038/tcp".to_owned(), Ask::Banner, said);
    let signs =
        vec![of("Asterisk Call Manager/9\r\n"), of("YATE 6\r\n"), of("Asterisk Call Manager/9\r\n"), of("?")];
    let found = conclude("h".to_owned(), signs, Vec::new(), Duration::ZERO);
    assert_eq!((found.kind.as_deref(), found.agree, found.differ), (Some("asterisk"), 2, 1));
    assert!(found.can_drive);
    let other = conclude("h".to_owned(), vec![of("Content-Type: auth/request")], Vec::new(), Duration::ZERO);
    assert_eq!((other.kind.as_deref(), other.can_drive), (Some("freeswitch"), true));
    assert_eq!(conclude("h".to_owned(), Vec::new(), Vec::new(), Duration::ZERO).kind, None);
}

#[test]
fn an_issabel_is_not_taken_for_the_asterisk_inside_and_a_3cx_not_for_an_elastix() {
    let ami = sign("5038/tcp".to_owned(), Ask::Banner, "Asterisk Call Manager/5.0.4\r\n");
    let sip = |agent: &str| {
        let said = format!("SIP/2.0 200 OK\r\nUser-Agent: {agent}\r\n\r\n");
        sign("5060/udp".to_owned(), Ask::Options, &said)
    };
    let found =
        conclude("h".to_owned(), vec![ami, sip("IssabelPBX-2.12(16.28.0)")], Vec::new(), Duration::ZERO);
    assert_eq!(
        (found.kind.as_deref(), found.agree, found.differ, found.can_drive),
        (Some("elastix"), 2, 0, true)
    );
    let found = conclude("h".to_owned(), vec![sip("3CXPhoneSystem 18.0")], Vec::new(), Duration::ZERO);
    assert_eq!((found.kind.as_deref(), found.can_drive), (Some("3cx"), false));
}

#[actix_web::test]
async fn point_10_a_simulated_asterisk_is_named_and_nobody_logged_in() {
    for profile in [Profile::V22, Profile::V16] {
        let double = AsteriskServer::start(Bind::default(), Options::new(profile)).unwrap();
        let found = detect(&asked("127.0.0.1", Some(double.ami().port()))).await;
        let sign =
            found.signs.iter().find(|sign| sign.port == format!("{}/tcp", double.ami().port())).unwrap();
        assert_eq!(sign.kind.as_deref(), Some("asterisk"));
        assert!(sign.said.starts_with("Asterisk Call Manager/"), "{sign:?}");
        assert_eq!(found.asked.len(), 7);
    }
}

/// An address of loopback of our own, where every usual port is free.
fn own(last: u8) -> IpAddr {
    let pid = std::process::id();
    IpAddr::from([127, 78, u8::try_from(pid % 251).unwrap() + 1, last])
}

#[actix_web::test]
async fn point_10_each_simulated_server_is_named_by_its_usual_ports() {
    let (asterisk, freeswitch, kamailio, opensips) = (own(1), own(2), own(3), own(4));
    let (yate, flexisip) = (own(5), own(6));
    let _running: [Box<dyn Any>; 6] = [
        Box::new(AsteriskServer::start(
            Bind { ip: asterisk, ami: 5038, http: 8088, sip: 5060, ..Bind::default() },
            Options::new(Profile::V22),
        )),
        Box::new(freeswitch::FreeSwitchServer::start(
            freeswitch::Bind { ip: freeswitch, socket: 8021, sip: 5060 },
            freeswitch::Options::default(),
        )),
        Box::new(kamailio::KamailioServer::start(
            kamailio::Bind { ip: kamailio, rpc: 8080, events: 8448, sip: 5060 },
            kamailio::Options::new(kamailio::Profile::V56),
        )),
        Box::new(opensips::OpenSipsServer::start(
            opensips::Bind { ip: opensips, http: 8888, mi: 8889, sip: 5060 },
            opensips::Options::new(opensips::Profile::V40),
        )),
        Box::new(yate::YateServer::start(
            yate::Bind { ip: yate, engine: 5039, http: 8080, sip: 5060 },
            yate::Options::default(),
        )),
        Box::new(flexisip::FlexisipServer::start(
            flexisip::Bind { ip: flexisip, sip: 5060, api: 8080 },
            flexisip::Options::new(flexisip::Profile::V23),
        )),
    ];
    for (ip, kind) in [
        (asterisk, Kind::Asterisk),
        (freeswitch, Kind::FreeSwitch),
        (kamailio, Kind::Kamailio),
        (opensips, Kind::OpenSips),
        (yate, Kind::Yate),
        (flexisip, Kind::Flexisip),
    ] {
        let found = detect(&asked(&ip.to_string(), None)).await;
        assert_eq!(found.kind, Some(kind.to_string()), "{found:#?}");
        assert!(found.can_drive && found.differ == 0, "{found:#?}");
    }
}

#[actix_web::test]
async fn point_10_an_issabel_is_named_by_its_web_by_tls() {
    let (options, web) = elastix::Elastix::issabel(1);
    let server = elastix::ElastixServer::start(elastix::Bind::default(), options, web).unwrap();
    let front = Front::before(server.web(), &Authority::new().own()).unwrap();
    let found = detect(&asked("127.0.0.1", Some(front.at().port()))).await;
    assert_eq!((found.kind.as_deref(), found.can_drive), (Some("elastix"), true), "{found:#?}");
}

#[actix_web::test]
async fn a_port_of_the_operators_own_choice_is_asked_in_each_way() {
    let free =
        freeswitch::FreeSwitchServer::start(freeswitch::Bind::default(), freeswitch::Options::default());
    let yate = yate::YateServer::start(yate::Bind::default(), yate::Options::default());
    let kamailio = kamailio::KamailioServer::start(
        kamailio::Bind::default(),
        kamailio::Options::new(kamailio::Profile::V61),
    );
    let (free, yate, kamailio) = (free.unwrap(), yate.unwrap(), kamailio.unwrap());
    for (port, kind) in [
        (free.socket().port(), "freeswitch"),
        (yate.engine().port(), "yate"),
        (kamailio.rpc().port(), "kamailio"),
    ] {
        let found = detect(&asked("127.0.0.1", Some(port))).await;
        let of_port: Vec<_> = found.signs.iter().filter(|sign| sign.port == format!("{port}/tcp")).collect();
        assert_eq!(of_port.len(), 1, "{found:#?}");
        assert_eq!(of_port[0].kind.as_deref(), Some(kind), "{found:#?}");
    }
}

#[test]
fn the_web_of_an_elastix_is_known_by_its_realm_alone() {
    let of = |realm: &str| {
        let said = format!("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"{realm}\"\r\n\r\n");
        sign("443/tcp".to_owned(), Ask::Https, &said).kind
    };
    assert_eq!(of("IssabelWebService").as_deref(), Some("elastix"));
    assert_eq!(of("ElastixWebService").as_deref(), Some("elastix"));
    assert_eq!(of("a shop"), None);
}

#[actix_web::test]
async fn a_hostile_banner_is_cut_and_harmless() {
    let evil = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = evil.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        // asked in four ways
        for _ in 0..4 {
            let (mut stream, _) = evil.accept().unwrap();
            let block = b"\x1b[2J\xff\xfe\x00\x07".repeat(1000);
            // Without end, and without a line end: until the asker has had enough.
            while stream.write_all(&block).is_ok() {}
            let _ = stream.read(&mut [0]);
        }
    });
    let found = detect(&asked("127.0.0.1", Some(port))).await;
    serving.join().unwrap();
    let sign = found.signs.iter().find(|sign| sign.port == format!("{port}/tcp")).unwrap();
    assert_eq!(sign.kind, None);
    assert!(!sign.said.chars().any(char::is_control) && sign.said.len() <= 4 * SAID_MAX, "{sign:?}");
}

#[actix_web::test]
async fn point_10_a_silent_host_is_given_up_and_what_was_asked_is_told() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    // An address of loopback where nobody else is.
    let found = detect(&asked("127.0.0.1", Some(port))).await;
    assert!(found.signs.iter().all(|sign| sign.port != format!("{port}/tcp")), "{found:?}");
    assert!(found.asked.contains(&format!("{port}/tcp")) && found.asked.contains(&"5060/udp".to_owned()));
    assert_eq!(detect(&asked("no.such.host.invalid", None)).await.kind, None);
}
