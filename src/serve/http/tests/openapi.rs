//! The document and the server say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::fixture::serve;
use crate::serve::http::guard::Needs;
use crate::serve::http::openapi::{COMMITTED, document};
use crate::serve::http::routes::ENTRIES;

#[test]
fn the_committed_document_is_the_one_of_the_code() {
    let document = document();
    if std::env::var_os("IFBUS_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve/openapi.json");
        fs::write(path, &document).unwrap();
        return;
    }
    assert!(COMMITTED == document, "openapi.json is old; do: IFBUS_BLESS=1 cargo test -p ifbus document");
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let (mut documented, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            documented.insert((method.to_uppercase(), path.clone()));
            assert!(
                names.insert(operation["operationId"].as_str().unwrap()),
                "{method} {path} has a name of its own"
            );
            let open = operation.get("security").is_some();
            let entry = ENTRIES.iter().find(|e| e.path == path && e.method.eq_ignore_ascii_case(method));
            let needs = entry.unwrap_or_else(|| panic!("{method} {path} is no route")).needs;
            assert_eq!(open, needs == Needs::Nothing, "{method} {path}");
        }
    }
    let routed: BTreeSet<_> = ENTRIES.iter().map(|e| (e.method.to_owned(), e.path.to_owned())).collect();
    assert_eq!(routed, documented);
    assert_eq!(routed.len(), ENTRIES.len(), "each route once");
}

#[test]
fn everything_the_document_points_to_is_in_it() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let text = document.to_string();
    let mut found = 0;
    for part in text.split("\"$ref\":\"#/").skip(1) {
        let pointer = format!("/{}", part.split('"').next().unwrap());
        assert!(document.pointer(&pointer).is_some(), "{pointer} is missing");
        found += 1;
    }
    assert!(found > 20);
}

#[actix_web::test]
async fn the_document_is_served_as_it_is_committed() {
    let served = serve();
    let answer = served.ask("GET", "/openapi.json", "").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.text, COMMITTED);
}
