//! ARI: the requests that ifbus makes, and the WebSocket of events with its takeover rule.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Link;
use super::happening::{AriEvent, NAME_HERE, json};
use super::http::{self, Request, Response};
use super::options::User;
use super::recording;
use super::websocket::{self, Frame};
use super::world::World;

const OK: (u16, &str) = (200, "OK");
const BAD: (u16, &str) = (400, "Bad Request");
const MISSING: (u16, &str) = (404, "Not Found");

/// A Stasis application: exists from its first WebSocket on.
#[derive(Debug, Default)]
pub(super) struct Application {
    /// The connection that gets the events: the latest.
    link: Option<Link>,
    all: bool,
    allowed: Vec<serde_json::Value>,
    disallowed: Vec<serde_json::Value>,
}

impl Application {
    fn hears(&self, kind: &str) -> bool {
        let names = |list: &[serde_json::Value]| -> BTreeSet<String> {
            list.iter().filter_map(|entry| entry["type"].as_str()).map(str::to_owned).collect()
        };
        (self.allowed.is_empty() || names(&self.allowed).contains(kind))
            && !names(&self.disallowed).contains(kind)
    }

    fn describe(&self, name: &str) -> String {
        let topic = |topic: &str| if self.all { format!("\"{topic}\"") } else { String::new() };
        let list = |entries: &[serde_json::Value]| {
            entries.iter().map(serde_json::Value::to_string).collect::<Vec<_>>().join(",")
        };
        format!(
            "{{\"name\":{},\"channel_ids\":[{}],\"bridge_ids\":[{}],\"endpoint_ids\":[{}],\"device_names\":[{}],\
             \"events_allowed\":[{}],\"events_disallowed\":[{}]}}",
            json(name),
            topic("__AST_CHANNEL_ALL_TOPIC"),
            topic("__AST_BRIDGE_ALL_TOPIC"),
            topic("__AST_ENDPOINT_ALL_TOPIC"),
            topic("__AST_DEVICE_STATE_ALL_TOPIC"),
            list(&self.allowed),
            list(&self.disallowed),
        )
    }
}

/// The side of the server that speaks HTTP.
#[derive(Debug, Default)]
pub(super) struct Ari {
    pub(super) applications: BTreeMap<String, Application>,
    connections: BTreeMap<Link, Connection>,
}

#[derive(Debug, Default)]
struct Connection {
    pending: Vec<u8>,
    /// Name of the application, once this is a WebSocket.
    socket: Option<String>,
}

/// Something for the wire.
#[derive(Debug)]
pub(super) enum Sent {
    Reply(Link, Vec<u8>),
    Event(Link, Vec<u8>),
    Close(Link),
}

const ASTERISK_ID: &str = "02:fc:00:00:00:01";

impl Ari {
    pub(super) fn opened(&mut self, link: Link) {
        self.connections.insert(link, Connection::default());
    }

    pub(super) fn closed(&mut self, link: Link, world: &World) {
        let Some(name) = self.connections.remove(&link).and_then(|connection| connection.socket) else {
            return;
        };
        if world.profile.application_survives {
            if let Some(application) = self.applications.get_mut(&name).filter(|a| a.link == Some(link)) {
                application.link = None;
            }
        } else {
            // Seen on 22: gone with any of its connections, even one that had been taken over.
            self.applications.remove(&name);
        }
    }

    /// WebSockets that are open.
    pub(super) fn sockets(&self) -> Vec<Link> {
        self.connections.iter().filter(|(_, c)| c.socket.is_some()).map(|(link, _)| *link).collect()
    }

    pub(super) fn received(
        &mut self,
        link: Link,
        bytes: &[u8],
        world: &mut World,
        users: &BTreeMap<String, User>,
        off: bool,
    ) -> Vec<Sent> {
        let Some(connection) = self.connections.get_mut(&link) else { return vec![] };
        connection.pending.extend_from_slice(bytes);
        let mut sent = vec![];
        loop {
            let Some(connection) = self.connections.get_mut(&link) else { return sent };
            if connection.socket.is_some() {
                self.frames(link, &mut sent);
                return sent;
            }
            match http::next(&mut connection.pending) {
                Ok(Some(request)) => self.request(link, &request, world, users, off, &mut sent),
                Ok(None) => return sent,
                Err(()) => {
                    sent.push(Sent::Close(link));
                    return sent;
                }
            }
        }
    }

    fn frames(&mut self, link: Link, sent: &mut Vec<Sent>) {
        let Some(connection) = self.connections.get_mut(&link) else { return };
        loop {
            match websocket::next(&mut connection.pending) {
                Ok(Some(Frame::Ping(payload))) => {
                    sent.push(Sent::Reply(link, websocket::frame(10, &payload)))
                }
                Ok(Some(Frame::Close(payload))) => {
                    sent.push(Sent::Reply(link, websocket::frame(8, &payload)));
                    return sent.push(Sent::Close(link));
                }
                Ok(Some(Frame::Data | Frame::Pong)) => {}
                Ok(None) => return,
                Err(()) => return sent.push(Sent::Close(link)),
            }
        }
    }

    fn request(
        &mut self,
        link: Link,
        request: &Request,
        world: &mut World,
        users: &BTreeMap<String, User>,
        off: bool,
        sent: &mut Vec<Sent>,
    ) {
        let version = world.profile.version;
        let response = if off {
            Response::page((503, "Service Unavailable"), "", version)
        } else if request.path == "/ari/events"
            && request.wants_websocket()
            && authorised(request, users).is_some()
        {
            match self.upgrade(link, request, world, sent) {
                Ok(()) => return,
                Err(response) => response,
            }
        } else if let Some(name) = request.path.strip_prefix("/ari/events/user/")
            && request.method == "POST"
            && authorised(request, users).is_some_and(|user| !user.ari_read_only)
        {
            self.user_event(name, request, world, sent)
        } else {
            self.respond(request, world, users)
        };
        let closes = request.closes();
        let text = response.encode(version, &http_date(world), closes);
        sent.push(Sent::Reply(link, text));
        if closes {
            sent.push(Sent::Close(link));
        }
    }

    fn respond(&mut self, request: &Request, world: &mut World, users: &BTreeMap<String, User>) -> Response {
        let version = world.profile.version;
        let Some(path) = request.path.strip_prefix("/ari/") else {
            return Response::page(MISSING, "The requested URL was not found on this server.", version);
        };
        let Some(user) = authorised(request, users) else {
            let mut response = Response::message((401, "Unauthorized"), "Authentication required");
            response.extra = "WWW-Authenticate: Basic realm=\"Asterisk REST Interface\"\r\n";
            return response;
        };
        if user.ari_read_only && request.method != "GET" {
            return Response::message((403, "Forbidden"), "Write access denied");
        }
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["asterisk", "info"]) => Response::json(OK, info(world)),
            ("GET", ["asterisk", "ping"]) => Response::json(OK, ping(world)),
            ("GET", ["applications"]) => {
                let all: Vec<String> = self.applications.iter().map(|(name, a)| a.describe(name)).collect();
                Response::json(OK, format!("[{}]", all.join(",")))
            }
            ("GET", ["applications", name]) => match self.applications.get(*name) {
                Some(application) => Response::json(OK, application.describe(name)),
                None => Response::message(MISSING, "Application not found"),
            },
            ("PUT", ["applications", name, "eventFilter"]) => self.set_filter(name, &request.body),
            ("GET", ["channels"]) => {
                let protocol = world.profile.tech_cause;
                let all: Vec<String> =
                    world.channels.values().map(|c| c.ari(&world.clock, protocol)).collect();
                Response::json(OK, format!("[{}]", all.join(",")))
            }
            ("GET", ["channels", id]) => match world.find(id) {
                Some(id) => {
                    Response::json(OK, world.channels[&id].ari(&world.clock, world.profile.tech_cause))
                }
                None => Response::message(MISSING, "Channel not found"),
            },
            ("GET", ["bridges"]) => {
                let all: Vec<String> =
                    world.bridges.values().map(|bridge| bridge.ari(&world.clock)).collect();
                Response::json(OK, format!("[{}]", all.join(",")))
            }
            (method, ["recordings", "stored", rest @ ..]) => recording::serve(world, method, rest),
            ("GET", ["events"]) => Response::page((426, "Upgrade Required"), "", version),
            (_, ["asterisk", "info" | "ping"] | ["channels"] | ["applications"]) => {
                let mut response = Response::message((405, "Method Not Allowed"), "Invalid method");
                response.extra = "Allow: OPTIONS,GET\r\n";
                response
            }
            _ => Response::message(MISSING, "Resource not found"),
        }
    }

    /// An event made by a client, to the application it names.
    fn user_event(&self, name: &str, request: &Request, world: &World, sent: &mut Vec<Sent>) -> Response {
        let application = request.parameter("application").unwrap_or_default();
        let Some(found) = self.applications.get(application) else {
            return Response::message(MISSING, "Application not found");
        };
        if let Some(link) = found.link.filter(|_| found.hears("ChannelUserevent")) {
            let text = format!(
                "{{\"type\":\"ChannelUserevent\",\"timestamp\":\"{}\",\"eventname\":{},\"userevent\":{{}},\
                 \"asterisk_id\":\"{ASTERISK_ID}\",\"application\":{}}}",
                world.clock.iso(world.now),
                json(name),
                json(application),
            );
            sent.push(Sent::Event(link, websocket::text(&text)));
        }
        Response::nothing()
    }

    fn set_filter(&mut self, name: &str, body: &[u8]) -> Response {
        let Some(application) = self.applications.get_mut(name) else {
            return Response::message(MISSING, "Application not found");
        };
        let Ok(filter) = serde_json::from_slice::<serde_json::Value>(body) else {
            return Response::message(BAD, "Error parsing request body");
        };
        let list = |key: &str| match filter.get(key) {
            None => Some(vec![]),
            Some(list) => {
                list.as_array().cloned().filter(|entries| entries.iter().all(|e| e["type"].is_string()))
            }
        };
        let (true, Some(allowed), Some(disallowed)) =
            (filter.is_object(), list("allowed"), list("disallowed"))
        else {
            return Response::message(BAD, "Invalid format definition");
        };
        (application.allowed, application.disallowed) = (allowed, disallowed);
        Response::json(OK, application.describe(name))
    }

    fn upgrade(
        &mut self,
        link: Link,
        request: &Request,
        world: &World,
        sent: &mut Vec<Sent>,
    ) -> Result<(), Response> {
        let version = world.profile.version;
        let name = request
            .parameter("app")
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Response::page(BAD, "HTTP request is missing param: [app]", version))?;
        let key = request.header("Sec-WebSocket-Key").ok_or_else(|| Response::page(BAD, "", version))?;
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            websocket::accept(key)
        );
        sent.push(Sent::Reply(link, head.into_bytes()));
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.socket = Some(name.to_owned());
        }
        let application = self.applications.entry(name.to_owned()).or_default();
        application.all |= request.parameter("subscribeAll") == Some("true");
        // A second connection takes over; the first stays open and hears no more (sheet section 19).
        if let Some(first) = application.link.replace(link)
            && application.hears("ApplicationReplaced")
        {
            let time = world.clock.iso(world.now);
            let text = format!(
                "{{\"type\":\"ApplicationReplaced\",\"timestamp\":\"{time}\",\"application\":{},\"asterisk_id\":\"{ASTERISK_ID}\"}}",
                json(name)
            );
            sent.push(Sent::Event(first, websocket::text(&text)));
        }
        Ok(())
    }

    /// One event to every application that wants it.
    pub(super) fn tell(&self, event: &AriEvent) -> Vec<Sent> {
        let listeners = self.applications.iter().filter(|(_, a)| a.all && a.hears(event.kind));
        listeners
            .filter_map(|(name, application)| application.link.map(|link| (name, link)))
            .map(|(name, link)| {
                let name = json(name);
                let text = if event.body.contains(NAME_HERE) {
                    format!("{},\"asterisk_id\":\"{ASTERISK_ID}\"}}", event.body.replace(NAME_HERE, &name))
                } else {
                    format!("{},\"asterisk_id\":\"{ASTERISK_ID}\",\"application\":{name}}}", event.body)
                };
                Sent::Event(link, websocket::text(&text))
            })
            .collect()
    }
}

fn authorised<'a>(request: &Request, users: &'a BTreeMap<String, User>) -> Option<&'a User> {
    let (name, password) = request.credentials()?;
    users.get(&name).filter(|user| user.secret == password && !user.refused)
}

fn info(world: &World) -> String {
    let (profile, clock) = (world.profile, world.clock);
    format!(
        "{{\"build\":{{\"os\":\"Linux\",\"kernel\":\"unknown\",\"machine\":\"unknown\",\
         \"options\":\"OPTIONAL_API, TEST_FRAMEWORK\",\"date\":\"{}\",\"user\":\"nobody\"}},\
         \"system\":{{\"version\":\"{}\",\"entity_id\":\"{ASTERISK_ID}\"}},\
         \"config\":{{\"name\":\"lab\",\"default_language\":\"en\",\"setid\":{{\"user\":\"\",\"group\":\"\"}},\
         \"max_open_files\":20000}},\"status\":{{\"startup_time\":\"{}\",\"last_reload_time\":\"{}\"}}}}",
        profile.built,
        profile.version,
        clock.iso(world.booted),
        clock.iso(world.reloaded),
    )
}

fn ping(world: &World) -> String {
    let time = world.clock.iso(world.now);
    format!("{{\"ping\":\"pong\",\"timestamp\":\"{time}\",\"asterisk_id\":\"{ASTERISK_ID}\"}}")
}

/// `Tue, 24 Nov 2026 08:07:02 GMT`
fn http_date(world: &World) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date, time) = world.clock.date_time(world.now);
    let day = (world.clock.wall + world.now.as_secs()) / 86400 % 7;
    let month = date[5..7].parse::<usize>().unwrap_or(1);
    format!("{}, {} {} {} {time} GMT", DAYS[day as usize], &date[8..], MONTHS[month - 1], &date[..4])
}
