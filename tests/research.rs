//! The research matrix is what its schema says, and agrees with the code.
//!
//! Not here: whether a fact is true; the fact sheets and the runs of conformance know that. Read
//! `docs/research/README.md` first.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ifbus::serve::matrix::{self, VERBS};
use ifbus_call::Kind;
use jsonschema::Validator;
use serde_json::{Value, json};

fn text(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/research").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn file() -> Value {
    serde_saphyr::from_str(&text("sip-research-matrix.yaml")).unwrap_or_else(|error| panic!("{error}"))
}

fn schema() -> Value {
    serde_json::from_str(&text("sip-research-matrix.schema.json")).expect("the schema is JSON")
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap_or_else(|error| panic!("{error}"))
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// What a cell of the code and one of the file say differently.
fn quarrel(code: &Value, file: &Value) -> Option<String> {
    let (how, needs) = (code["how"].as_str().unwrap_or_default(), code["needs"].as_str());
    let fits: &[&str] = match (how, needs) {
        ("native", None) => &["native"],
        // The code has one word for both: the server does it, once something is there that is named.
        ("native", Some(_)) | ("setup", _) => &["native", "prerequisite"],
        ("agent", _) => &["agent"],
        ("anchor", _) => &["anchor"],
        ("not_yet", _) => return None,
        (other, _) => return Some(format!("the code says `{other}`, which the file has no word for")),
    };
    let told = file["how"].as_str().unwrap_or_default();
    if !fits.contains(&told) {
        return Some(format!("the code says `{how}`, the file `{told}`"));
    }
    match needs.or_else(|| (how == "setup").then_some("something")) {
        Some(needs) if file["needs"].as_str().is_none() => {
            Some(format!("the code needs `{needs}`, the file nothing"))
        }
        _ => None,
    }
}

#[test]
fn the_file_is_what_its_schema_says() {
    let (validator, file) = (validator(), file());
    let wrong: Vec<String> =
        validator.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_schema_is_itself_valid_and_closed() {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let (mut parts, mut open, mut objects) = (vec![("", &schema)], Vec::new(), 0);
    while let Some((name, part)) = parts.pop() {
        if part["type"] == "object" {
            objects += 1;
            if part["additionalProperties"] != Value::Bool(false) {
                open.push(name);
            }
        }
        match part {
            Value::Object(object) => parts.extend(object.iter().map(|(name, part)| (name.as_str(), part))),
            Value::Array(array) => parts.extend(array.iter().map(|part| (name, part))),
            _ => {}
        }
    }
    assert!(objects > 20, "only {objects} objects were looked at");
    assert!(open.is_empty(), "open objects: {open:?}");
}

#[test]
fn the_schema_refuses_what_is_missing_unknown_or_without_a_source() {
    let (validator, whole) = (validator(), file());
    let cell = "/kinds/yate/verbs/hold";
    let changes: [(&str, &str, Value); 10] = [
        (cell, "how", json!("somehow")),
        (cell, "source", json!("hearsay")),
        (cell, "source", json!("yate")),
        (cell, "source", Value::Null),
        (cell, "proof", json!("")),
        (cell, "opinion", json!("good")),
        ("/kinds/yate/verbs", "hold", Value::Null),
        ("/kinds/yate/verbs", "whistle", whole.pointer(cell).expect("a cell").clone()),
        ("/kinds", "yate", Value::Null),
        ("/kinds/yate/verbs/fetch-recording", "needs", Value::Null),
    ];
    for (place, key, value) in changes {
        let mut changed = whole.clone();
        let object = changed.pointer_mut(place).and_then(Value::as_object_mut).expect("a place of the file");
        match &value {
            Value::Null => object.remove(key).map(drop).expect("a key of the file"),
            value => drop(object.insert(key.to_owned(), value.clone())),
        }
        assert!(!validator.is_valid(&changed), "{place}/{key} = {value} was taken");
    }
}

#[test]
fn a_key_given_twice_is_refused() {
    assert!(serde_saphyr::from_str::<Value>("a: 1\nb: 2\n").is_ok());
    assert!(serde_saphyr::from_str::<Value>("a: 1\na: 2\n").is_err());
}

#[test]
fn every_kind_of_the_file_has_every_verb_of_the_code_and_no_other() {
    let file = file();
    let verbs: BTreeSet<&str> = VERBS.into_iter().collect();
    let kinds = file["kinds"].as_object().expect("kinds by name");
    assert_eq!(kinds.len(), 7);
    for (kind, what) in kinds {
        assert_eq!(keys(&what["verbs"]), verbs, "{kind}");
    }
}

#[test]
fn every_kind_of_the_code_is_in_the_file() {
    let file = file();
    for part in [&file["kinds"], &file["authentication"]["servers"]] {
        for kind in Kind::ALL {
            assert!(keys(part).contains(kind.as_str()), "{kind} is missing");
        }
    }
}

#[test]
fn each_cell_of_the_code_agrees_with_its_cell_of_the_file() {
    let file = file();
    let code = matrix::body(&Kind::ALL);
    let (mut looked_at, mut quarrels) = (0, Vec::new());
    for verb in &code.verbs {
        for (kind, cell) in &verb.cells {
            looked_at += 1;
            let cell = serde_json::to_value(cell).expect("a cell is JSON");
            if let Some(why) = quarrel(&cell, &file["kinds"][kind]["verbs"][&verb.verb]) {
                quarrels.push(format!("{kind}, {}: {why}", verb.verb));
            }
        }
    }
    assert_eq!(looked_at, VERBS.len() * Kind::ALL.len());
    assert!(quarrels.is_empty(), "{}", quarrels.join("\n"));
}

#[test]
fn a_cell_that_disagrees_is_told() {
    let cell = |how: &str, needs: Option<&str>| json!({ "how": how, "needs": needs });
    let needy = Some("a folder");
    for (code, file) in [
        (cell("native", None), cell("agent", None)),
        (cell("native", None), cell("prerequisite", needy)),
        (cell("native", needy), cell("native", None)),
        (cell("native", needy), cell("anchor", needy)),
        (cell("setup", needy), cell("native", None)),
        (cell("setup", None), cell("prerequisite", None)),
        (cell("agent", None), cell("native", None)),
        (cell("anchor", needy), cell("agent", needy)),
        (cell("magic", None), cell("native", None)),
        (cell("native", None), Value::Null),
    ] {
        assert!(quarrel(&code, &file).is_some(), "{code} against {file}");
    }
    for (code, file) in [
        (cell("native", None), cell("native", needy)),
        (cell("native", needy), cell("prerequisite", needy)),
        (cell("setup", needy), cell("prerequisite", needy)),
        (cell("agent", None), cell("agent", needy)),
        (cell("anchor", needy), cell("anchor", needy)),
        (cell("not_yet", None), cell("anchor", needy)),
    ] {
        assert_eq!(quarrel(&code, &file), None, "{code} against {file}");
    }
}

#[test]
fn the_unified_pattern_speaks_of_verbs_that_exist() {
    let file = file();
    for verb in keys(&file["unified_pattern"]["choreography"]) {
        assert!(VERBS.contains(&verb), "{verb} is no verb");
    }
}
