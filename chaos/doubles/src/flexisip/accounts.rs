//! The account manager, as far as it is asked (sheet flexisip, section 1).

use serde_json::{Value, json};

use super::options::{Account, Options};
use crate::http::Request;

/// The reply to a request.
pub(super) fn answer(options: &Options, request: &Request) -> Vec<u8> {
    let host = request.header("Host").unwrap_or_default();
    if host.rsplit_once(':').map_or(host, |(name, _)| name) != options.space {
        return written(404, "text/html", "Host not configured");
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/api/ping") => written(200, "text/html", "pong"),
        // of accounts themselves: an API key alone is taken, and who has none is sent to log in
        (method, path) if path.starts_with("/api/accounts") => match request.header("x-api-key") {
            None => redirected(),
            Some(key) if key != options.api_key => written(401, "text/html", "Invalid API Key"),
            Some(_) => accounts(options, method, path),
        },
        _ => json_of(404, &json!({"message": "Not Found"})),
    }
}

/// A bare status.
pub(super) fn status(code: u16) -> Vec<u8> {
    written(code, "text/html", "")
}

fn accounts(options: &Options, method: &str, path: &str) -> Vec<u8> {
    let rest = path.trim_start_matches("/api/accounts").trim_start_matches('/');
    let shown = |(place, account): (usize, &Account)| {
        let (user, domain) = account.address.split_once('@').unwrap_or((&account.address, ""));
        json!({"id": place + 1, "username": user, "domain": domain, "activated": account.activated, "blocked": false})
    };
    let of = |id: &str| id.parse::<usize>().ok().and_then(|id| options.accounts.get(id.checked_sub(1)?));
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    match (method, &parts[..]) {
        ("GET", []) => {
            let data: Vec<Value> = options.accounts.iter().enumerate().map(shown).collect();
            json_of(200, &page(&data))
        }
        ("POST", []) => {
            let errors = json!({"username": ["The username field is required."]});
            json_of(422, &json!({"message": "The username field is required.", "errors": errors}))
        }
        ("GET", [address, "search"]) => {
            let found = options.accounts.iter().enumerate().find(|(_, account)| account.address == **address);
            match found {
                Some(found) => json_of(200, &shown(found)),
                None => json_of(404, &json!({"message": "SIP address not found"})),
            }
        }
        ("GET", [id, "devices"]) => match of(id) {
            Some(account) if account.devices.is_empty() => json_of(200, &json!({})),
            Some(account) => json_of(200, &json!(account.devices)),
            None => json_of(404, &json!({"message": "Not Found"})),
        },
        ("GET", [id, "statistics", "calls"]) if of(id).is_some() => json_of(200, &page(&[])),
        (_, ["statistics" | "devices", ..]) => json_of(405, &json!({"message": "Method Not Allowed"})),
        _ => json_of(404, &json!({"message": "Not Found"})),
    }
}

fn page(data: &[Value]) -> Value {
    json!({"current_page": 1, "data": data, "last_page": 1, "next_page_url": null, "per_page": 20, "total": data.len()})
}

fn json_of(code: u16, body: &Value) -> Vec<u8> {
    written(code, "application/json", &body.to_string())
}

fn redirected() -> Vec<u8> {
    b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n".to_vec()
}

fn written(code: u16, kind: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {code} x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}
