//! The printed files of each kind, and what of them `ifbus test` cannot see.

use ifbus_call::Kind;

/// A file on a server.
pub(super) struct Part {
    /// Its word for `--only`.
    pub(super) word: &'static str,
    /// Its name on the server.
    pub(super) file: &'static str,
    pub(super) text: &'static str,
    /// What makes the server read it.
    pub(super) reload: &'static str,
    /// Lines that a test cannot see, by their beginnings, with the reason.
    pub(super) unseen: &'static [Unseen],
}

/// The beginning of a line, or the head of a block for all of it; and why a test is content without it. Such lines have to
/// be taken as they are printed. Every other line is seen: without it a test fails or warns, or the server refuses its
/// configuration (tests remove each in turn).
type Unseen = (&'static str, &'static str);

/// The files of a kind.
pub(super) const fn parts(kind: Kind) -> &'static [Part] {
    match kind {
        Kind::Asterisk => &ASTERISK,
        Kind::Flexisip => &FLEXISIP,
        Kind::Kamailio => &KAMAILIO,
        Kind::Elastix => &ELASTIX,
        Kind::Yate => &YATE,
        Kind::FreeSwitch => &FREESWITCH,
        Kind::OpenSips => &OPENSIPS,
    }
}

const ASTERISK: [Part; 4] = [
    Part {
        word: "manager",
        file: "manager.conf",
        text: include_str!("asterisk/manager.conf"),
        reload: "manager reload",
        unseen: MANAGER,
    },
    Part {
        word: "http",
        file: "http.conf",
        text: include_str!("asterisk/http.conf"),
        reload: "module reload http",
        unseen: HTTP,
    },
    Part {
        word: "ari",
        file: "ari.conf",
        text: include_str!("asterisk/ari.conf"),
        reload: "module reload res_ari.so",
        unseen: ARI,
    },
    Part {
        word: "dialplan",
        file: "extensions.conf",
        text: include_str!("asterisk/extensions.conf"),
        reload: "dialplan reload",
        unseen: DIALPLAN,
    },
];
const FLEXISIP: [Part; 1] = [Part {
    word: "proxy",
    file: "flexisip.conf",
    text: include_str!("flexisip/flexisip.conf"),
    reload: "systemctl restart flexisip-proxy",
    unseen: PROXY,
}];
const KAMAILIO: [Part; 2] = [
    Part {
        word: "modules",
        file: "ifbus-modules.cfg",
        text: include_str!("kamailio/ifbus-modules.cfg"),
        reload: "kamailio -c, then restart",
        unseen: KAMAILIO_MODULES,
    },
    Part {
        word: "routes",
        file: "ifbus-routes.cfg",
        text: include_str!("kamailio/ifbus-routes.cfg"),
        reload: "kamailio -c, then restart",
        unseen: KAMAILIO_ROUTES,
    },
];

const ELASTIX: [Part; 4] = [
    Part {
        word: "manager",
        file: "manager_custom.conf",
        text: include_str!("elastix/manager_custom.conf"),
        reload: "manager reload",
        unseen: ELASTIX_MANAGER,
    },
    Part {
        word: "dialplan",
        file: "extensions_custom.conf",
        // the waiting places are those of every Asterisk
        text: concat!(include_str!("asterisk/extensions.conf"), include_str!("elastix/contexts.conf")),
        reload: "dialplan reload",
        unseen: DIALPLAN,
    },
    Part {
        word: "recordings",
        file: "ifbus-recordings.conf",
        text: include_str!("elastix/ifbus-recordings.conf"),
        reload: "systemctl reload httpd",
        unseen: &[],
    },
    Part {
        word: "pbxapi",
        file: "issabel.conf",
        text: include_str!("elastix/issabel.conf"),
        reload: "systemctl restart httpd php-fpm",
        unseen: &[],
    },
];

const YATE: [Part; 3] = [
    Part {
        word: "modules",
        file: "yate.conf",
        text: include_str!("yate/yate.conf"),
        reload: "restart yate",
        unseen: &[],
    },
    Part {
        word: "listener",
        file: "extmodule.conf",
        text: include_str!("yate/extmodule.conf"),
        reload: "restart yate",
        unseen: &[],
    },
    Part {
        word: "sounds",
        file: "sounds.sh",
        text: include_str!("yate/sounds.sh"),
        reload: "sh sounds.sh",
        unseen: &[],
    },
];

const FREESWITCH: [Part; 1] = [Part {
    word: "socket",
    file: "event_socket.conf.xml",
    text: include_str!("freeswitch/event_socket.conf.xml"),
    reload: "reload mod_event_socket",
    unseen: SOCKET,
}];

const OPENSIPS: [Part; 2] = [
    Part {
        word: "modules",
        file: "ifbus-modules.cfg",
        text: include_str!("opensips/ifbus-modules.cfg"),
        reload: "opensips -c, then restart",
        unseen: OPENSIPS_MODULES,
    },
    Part {
        word: "routes",
        file: "ifbus-routes.cfg",
        text: include_str!("opensips/ifbus-routes.cfg"),
        reload: "opensips -c, then restart",
        unseen: OPENSIPS_ROUTES,
    },
];

/// Why a test is content without a line that tells of calls.
const BY_A_CALL: &str = "only a call shows it";

const MANAGER: &[Unseen] = &[
    ("bindaddr", "the default, every address, works too, and is less safe"),
    ("port", "it is the default"),
    ("disabledevents", "saves the server work, and changes nothing for ifbus"),
    ("timestampevents", "is for people who read a trace"),
    ("deny", "without it others are let in, not ifbus kept out"),
    ("writetimeout", "matters only while ifbus is slow to read"),
];

const ELASTIX_MANAGER: &[Unseen] = &[
    ("deny", "without it others are let in, not ifbus kept out"),
    ("writetimeout", "matters only while ifbus is slow to read"),
];

const HTTP: &[Unseen] =
    &[("bindaddr", "another address works too, if ifbus reaches it"), ("bindport", "it is the default")];

const ARI: &[Unseen] = &[
    ("enabled", "it is the default"),
    ("[general]", "it is the default"),
    ("read_only", "it is the default"),
];

const DIALPLAN: &[Unseen] = &[
    ("[ifbus-inbound]", "22.10 and later refuse calls by a command"),
    ("exten => s,1,GotoIf", "22.10 and later refuse calls by a command"),
    ("same => n,Return()", "22.10 and later refuse calls by a command"),
    ("same => n(full)", "22.10 and later refuse calls by a command"),
];

const SOCKET: &[Unseen] = &[
    ("<param name=\"listen-port\"", "it is the default"),
    ("<param name=\"apply-inbound-acl\"", "the default, this machine alone, works too, if ifbus runs there"),
    ("<param name=\"stop-on-bind-error\"", "matters only where another program has the port"),
];

const KAMAILIO_MODULES: &[Unseen] = &[
    ("tcp_accept_no_cl", "ifbus gives a length to each request; other programs may not"),
    ("modparam(\"jsonrpcs\", \"pretty_format\"", "only makes answers shorter"),
    ("modparam(\"rr\", \"append_fromtag\"", BY_A_CALL),
    ("modparam(\"dialog\", \"enable_stats\"", "it is the default"),
    ("modparam(\"dialog\", \"track_cseq_updates\"", BY_A_CALL),
    ("modparam(\"evapi\", \"workers\"", "it is the default"),
];

const KAMAILIO_ROUTES: &[Unseen] = &[
    ("route[IFBUS_CALL]", BY_A_CALL),
    ("route[IFBUS_IN_CALL]", BY_A_CALL),
    ("failure_route[IFBUS_FAILURE]", BY_A_CALL),
    ("event_route[dialog:start]", BY_A_CALL),
    ("event_route[dialog:end]", BY_A_CALL),
    ("event_route[dialog:failed]", BY_A_CALL),
    ("route[IFBUS_TELL]", BY_A_CALL),
    ("exit;", "without it others are let in, not ifbus kept out"),
    ("xhttp_reply(\"401\"", "without it others are let in, not ifbus kept out"),
    ("xhttp_reply(\"404\"", "ifbus asks for no other path"),
];

const PROXY: &[Unseen] = &[
    ("trusted-hosts", "only a call shows it, and a digest account works, too"),
    ("white-list", "matters only under many calls at once"),
    ("prevent-loops", "only a call through its media relay shows it"),
    ("[module::", "sections are the server's own"),
];

const OPENSIPS_MODULES: &[Unseen] = &[
    ("modparam(\"httpd\", \"port\"", "it is the default"),
    ("modparam(\"httpd\", \"post_buf_size\"", "only a long list of names needs it"),
    ("modparam(\"mi_http\", \"root\"", "it is the default"),
    ("modparam(\"cfgutils\", \"shvset\"", "the routes make the switch as well"),
];

const OPENSIPS_ROUTES: &[Unseen] = &[("route[ifbus_call]", BY_A_CALL), ("route[ifbus_ended]", BY_A_CALL)];
