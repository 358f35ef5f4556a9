//! The web server: pbxapi, the folder of recordings, and the pages anybody gets.
//!
//! One request in, one [`Step`] out; the shell carries it out. Tokens look like those recorded and mean nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::errand::{Errand, Wants, text};
use super::page::Page;
use crate::asterisk::http::Request;

/// How the web server is set up.
#[derive(Clone, Debug)]
pub struct WebOptions {
    /// The password of `admin` in AMI, which pbxapi takes too.
    pub admin: String,
    /// Seconds a token is good for.
    pub token_life: u64,
    /// Telephones by extension.
    pub extensions: BTreeMap<String, Phone>,
    /// Who may fetch recordings: user and password.
    pub listener: (String, String),
    /// How long a reload of the dialplan blocks the request that caused it.
    pub reload: Duration,
}

/// A telephone as pbxapi knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// `SIP/200`
    pub dial: String,
    /// Its password, which pbxapi shows to whoever may ask.
    pub secret: String,
    /// Whose it is.
    pub name: String,
}

impl WebOptions {
    /// Telephones 1001 to 1010 of this technology.
    #[must_use]
    pub fn new(tech: &str) -> Self {
        let phone = |number: u32| {
            let phone = Phone {
                dial: format!("{tech}/{number}"),
                secret: format!("phone-secret-{number}"),
                name: format!("Phone {number}"),
            };
            (number.to_string(), phone)
        };
        WebOptions {
            admin: "admin-secret".to_owned(),
            token_life: 3600,
            extensions: (1001..=1010).map(phone).collect(),
            listener: ("ifbus".to_owned(), "ifbus-secret".to_owned()),
            reload: Duration::from_millis(5700),
        }
    }
}

/// What goes wrong with the web server alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebFaults {
    /// Its database is gone: every page of pbxapi is an error page, and stays one until PHP is restarted.
    pub database: bool,
    /// It takes requests and never answers.
    pub silent: bool,
    /// It is another product: 3CX under the old name.
    pub three_cx: bool,
}

/// What a request leads to.
#[derive(Debug)]
pub enum Step {
    /// An answer, now or after a while.
    Page(Page, Duration),
    /// Something to be asked of AMI.
    Errand(Box<Errand>),
    /// A file of the folder of recordings: `ifbus/name.wav`.
    File(String),
    /// Nothing, ever.
    Silence,
}

/// The web server.
#[derive(Debug)]
pub struct Web {
    options: WebOptions,
    /// What goes wrong.
    pub faults: WebFaults,
    /// Until when each token is good.
    pub(super) tokens: BTreeMap<String, Duration>,
    logins: u64,
}

/// Where the recordings are shown.
const FOLDER: &str = "/ifbus-recordings/";

const NOT_FOUND: &str =
    "{\"status\":\"fail\",\"errors\":[{\"status\":\"404\",\"detail\":\"Record not found\"}]}";

impl Web {
    /// A web server that has just started.
    #[must_use]
    pub fn new(options: WebOptions) -> Self {
        Web { options, faults: WebFaults::default(), tokens: BTreeMap::new(), logins: 0 }
    }

    /// Every token that was given is over now.
    pub fn expire(&mut self) {
        self.tokens.values_mut().for_each(|until| *until = Duration::ZERO);
    }

    /// How often somebody has logged in.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.logins
    }

    /// Takes one request.
    pub(crate) fn take(&mut self, request: &Request, now: Duration) -> Step {
        let page = |page| Step::Page(page, Duration::ZERO);
        if self.faults.silent {
            return Step::Silence;
        }
        if self.faults.three_cx {
            let body =
                "<!doctype html><html><head><title>3CX Phone System Management Console</title></head></html>";
            return page(Page::text(200, "OK", body));
        }
        if let Some(name) = request.path.strip_prefix(FOLDER) {
            return self.recording(request, name);
        }
        match request.path.strip_prefix("/pbxapi/") {
            Some(path) => self.pbxapi(request, path, now),
            None if request.path.starts_with("/rest.php") => {
                let body = "{\"error\":\"Unauthorized\",\"message\":\"\",\"statusResponse\":\"ERROR\"}";
                let mut denied = Page::text(401, "Unauthorized", body);
                denied.extra = "WWW-Authenticate: Basic realm=\"IssabelWebService\"\r\n".to_owned();
                page(denied)
            }
            None if request.path == "/" => page(Page::text(
                200,
                "OK",
                "<!DOCTYPE html>\n<html><head><title>Issabel</title></head></html>",
            )),
            None => {
                page(Page::text(404, "Not Found", "<html><head><title>404 Not Found</title></head></html>"))
            }
        }
    }

    fn recording(&self, request: &Request, name: &str) -> Step {
        let page = |status, reason| Step::Page(Page::text(status, reason, "<html></html>"), Duration::ZERO);
        if request.credentials().as_ref() != Some(&self.options.listener) {
            return page(401, "Unauthorized");
        }
        match name {
            "" => page(403, "Forbidden"),
            name if name.contains('/') => page(404, "Not Found"),
            name => Step::File(format!("ifbus/{name}")),
        }
    }

    fn pbxapi(&mut self, request: &Request, path: &str, now: Duration) -> Step {
        let page = |page| Step::Page(page, Duration::ZERO);
        if self.faults.database {
            return page(Page::trace(
                500,
                "500 Internal Server Error",
                "Packets out of order. Expected 1 received 2. Packet size=34",
                "[pbxapi/lib/base.php:2174] Base->error()\n[pbxapi/lib/db/sql.php:505] PDO->__construct()\n\
                 [pbxapi/index.php:56] DB\\SQL->__construct()",
            ));
        }
        match (request.method.as_str(), path) {
            ("POST", "authenticate") => return page(self.log_in(request, now)),
            ("GET", "authenticate/renewtoken") => return page(self.renew(request, now)),
            // the tokens of somebody's browser, who is nobody here
            ("GET", "authenticate") => return page(Page::json("{\"status\":\"unauthorized\"}")),
            (_, "authenticate") => return page(Page::text(403, "Forbidden", "")),
            _ => {}
        }
        let token = request.header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
        match token.and_then(|token| self.tokens.get(token)) {
            None => return page(Page::text(403, "Unauthorized", "")),
            Some(until) if *until <= now => return page(Page::text(200, "OK", "{\"status\": \"expired\"}")),
            Some(_) => {}
        }
        let (controller, id) = path.split_once('/').unwrap_or((path, ""));
        match controller {
            "manager" => self.manager(request, id),
            "extensions" => self.extensions(request, id),
            "conferences" | "queues" | "trunks" => page(match id {
                "" => Page::resource(200, "{\"status\":\"success\",\"results\":[]}"),
                _ => Page::resource(404, NOT_FOUND),
            }),
            _ => page(Page::trace(
                404,
                "404 Not Found",
                &format!("HTTP 404 ({} /{path})", request.method),
                "[pbxapi/lib/base.php:1571] Base->error()\n[pbxapi/index.php:68] Base->run()",
            )),
        }
    }

    // ---- tokens ----------------------------------------------------------------------------------------------------

    /// JSON whatever its type says, unlike a resource; what is no JSON is read as a form.
    fn log_in(&mut self, request: &Request, now: Duration) -> Page {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let get = |key: &str| match json.get(key).and_then(|value| value.as_str()) {
            Some(value) => Some(value.to_owned()),
            None => {
                let value = body.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
                value.map(str::to_owned)
            }
        };
        let (user, password) = (get("user").or_else(|| get("username")), get("password"));
        if user.as_deref() == Some("admin") && password.as_ref() == Some(&self.options.admin) {
            self.logins += 1;
            Page::json(self.issue(now, ""))
        } else {
            Page::text(403, "Forbidden", "")
        }
    }

    /// A renewal that is garbage is one all the same: a fault of the server.
    fn renew(&mut self, request: &Request, now: Duration) -> Page {
        let known = request.parameter("access_token").is_some_and(|token| self.tokens.contains_key(token));
        if !known {
            return Page::text(200, "OK", "{\"status\": \"unauthorized\"}");
        }
        Page::text(200, "OK", self.issue(now, ",\"status\":\"authorized\""))
    }

    fn issue(&mut self, now: Duration, more: &str) -> String {
        let number = self.tokens.len();
        let token = format!("eyJ0eXAiOiJKV1QiLC.{number:032x}.{:016x}", now.as_nanos());
        self.tokens.insert(token.clone(), now + Duration::from_secs(self.options.token_life));
        let life = self.options.token_life;
        format!(
            "{{\"access_token\":\"{token}\",\"expires_in\":{life},\"refresh_token\":\"{token}r\",\
             \"token_type\":\"Bearer\"{more}}}"
        )
    }

    // ---- manager ---------------------------------------------------------------------------------------------------

    fn manager(&self, request: &Request, action: &str) -> Step {
        let page = |page| Step::Page(page, Duration::ZERO);
        let get = |key: &str| request.parameter(key).unwrap_or_default();
        if request.method != "GET" {
            // a POST or a DELETE answers with nothing and does nothing; nobody asks for what they do for the database
            return page(match request.method.as_str() {
                "PUT" => Page::trace(405, "405 Method Not Allowed", "HTTP 405", ""),
                _ => Page::text(200, "OK", ""),
            });
        }
        let errand = |wants, name, fields: &[(&str, &str)]| {
            Step::Errand(Box::new(Errand::new(wants, name, fields, &self.options.admin)))
        };
        match action {
            "originate" => errand(
                Wants::Originate,
                "Originate",
                &[
                    ("Channel", get("channel")),
                    ("Exten", get("extension")),
                    ("Context", get("context")),
                    ("Priority", get("priority")),
                    ("Timeout", get("timeout")),
                    ("CallerID", get("callerid")),
                    ("Variable", get("variable")),
                    ("Account", get("account")),
                    ("Application", get("application")),
                    ("Data", get("data")),
                ],
            ),
            "hangup" => {
                errand(Wants::Words, "Hangup", &[("Channel", get("channel")), ("Cause", get("cause"))])
            }
            "status" => errand(Wants::Status, "Status", &[("Channel", get("channel"))]),
            "getvar" => {
                let name = get("variable");
                let fields = [("Channel", get("channel")), ("Variable", name)];
                errand(Wants::Value(name.to_owned()), "Getvar", &fields)
            }
            // what is not there is an empty value
            "dbget" => page(Page::json("{\"result\":\"\"}")),
            // a name that is none gets the list of those that are
            _ => page(Page::json(super::COMMANDS)),
        }
    }

    // ---- telephones ------------------------------------------------------------------------------------------------

    fn extensions(&mut self, request: &Request, id: &str) -> Step {
        let fail = |status: u16, more: &str, detail: &str| {
            let body = format!(
                "{{\"status\":\"fail\",\"errors\":[{{\"status\":\"{status}\",{more}\"detail\":\"{detail}\"}}]}}"
            );
            Step::Page(Page::resource(status, body), Duration::ZERO)
        };
        let body: serde_json::Value = match serde_json::from_slice(&request.body) {
            Ok(body) => body,
            Err(_) if request.body.is_empty() => serde_json::Value::Null,
            Err(_) => return fail(400, "\"code\":4,", "Could not decode JSON"),
        };
        let field = |key: &str| body.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let reload = if field("reload") == "0" { Duration::ZERO } else { self.options.reload };
        match (request.method.as_str(), id) {
            ("GET", id) => {
                // of an unknown one the list is empty, where other resources say 404
                let wanted = |number: &str| id.is_empty() || number == id.trim_start_matches("search/");
                let found = self.options.extensions.iter().filter(|(number, _)| wanted(number));
                let list: Vec<String> = found.map(|(number, phone)| entry(number, phone)).collect();
                let body = format!("{{\"status\":\"success\",\"results\":[{}]}}", list.join(","));
                Step::Page(Page::resource(200, body), Duration::ZERO)
            }
            ("POST", "") if field("extension").is_empty() => {
                fail(422, "\"source\":\"extension\",", "Required field missing")
            }
            ("POST", "") if self.options.extensions.contains_key(&field("extension")) => {
                fail(409, "", "Extension number already in use")
            }
            ("POST", "") | ("PUT", _) => {
                let number = if id.is_empty() { field("extension") } else { id.to_owned() };
                let tech = if field("tech") == "pjsip" { "PJSIP" } else { "SIP" };
                let dial = format!("{tech}/{number}");
                let phone = Phone { dial, secret: field("secret"), name: field("name") };
                let is_new = self.options.extensions.insert(number.clone(), phone).is_none();
                let path = format!("/pbxapi/extensions/{number}");
                Step::Page(if is_new { Page::created(&path) } else { Page::text(200, "OK", "") }, reload)
            }
            ("POST", _) => fail(
                400,
                "",
                "We refuse to insert a record if a resource id is passed. For update use the PUT method instead.",
            ),
            ("DELETE", "") => fail(405, "", "Cannot delete if no ID is supplied"),
            ("DELETE", ids) => {
                ids.split(',').for_each(|id| drop(self.options.extensions.remove(id)));
                Step::Page(Page::text(200, "OK", ""), reload)
            }
            _ => fail(405, "", "Method not allowed"),
        }
    }
}

fn entry(number: &str, phone: &Phone) -> String {
    let tech = phone.dial.split('/').next().unwrap_or_default().to_ascii_lowercase();
    format!(
        "{{\"dial\":{},\"secret\":{},\"context\":\"from-internal\",\"extension\":{},\"name\":{},\"tech\":\"{tech}\",\
         \"voicemail\":[],\"followme\":[],\"dictation\":[]}}",
        text(&phone.dial),
        text(&phone.secret),
        text(number),
        text(&phone.name)
    )
}
