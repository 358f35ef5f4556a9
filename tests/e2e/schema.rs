//! JSON against the schemas of our own OpenAPI document: the words that document uses, and no others.

use std::collections::BTreeSet;

use serde_json::Value;

/// Checks that `value` is of the schema; the place of the first mistake if it is not.
pub fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    form(document, schema, value, at)?;
    let Some(object) = value.as_object() else { return Ok(()) };
    let known = names(document, schema);
    match object.keys().find(|name| known.as_ref().is_some_and(|known| !known.contains(name.as_str()))) {
        Some(name) => Err(format!("{at}.{name} is not in the document")),
        None => Ok(()),
    }
}

/// The fields that an object of this schema may have; nothing if it may have any.
fn names<'a>(document: &'a Value, schema: &'a Value) -> Option<BTreeSet<&'a str>> {
    if let Some(target) = schema["$ref"].as_str().and_then(|at| document.pointer(at.trim_start_matches('#')))
    {
        return names(document, target);
    }
    let parts = schema["allOf"].as_array();
    let own = schema["properties"].as_object();
    if own.is_none() && parts.is_none() {
        return None;
    }
    let mut known: BTreeSet<&str> = own.into_iter().flat_map(|own| own.keys().map(String::as_str)).collect();
    for part in parts.into_iter().flatten() {
        known.extend(names(document, part)?);
    }
    Some(known)
}

fn form(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(pointer) = schema["$ref"].as_str() {
        let target = document.pointer(pointer.trim_start_matches('#'));
        return form(document, target.ok_or_else(|| format!("{pointer} is not there"))?, value, at);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        parts.iter().try_for_each(|part| form(document, part, value, at))?;
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let tried: Vec<_> = choices.iter().map(|choice| check(document, choice, value, at)).collect();
        if tried.iter().filter(|done| done.is_ok()).count() != 1 {
            return Err(format!("{at}: of no form, or of several: {tried:?}"));
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    if !types.is_empty() && !types.iter().any(|kind| is(value, kind)) {
        return Err(format!("{at}: {value} is no {types:?}"));
    }
    if let Some(known) = schema["enum"].as_array().filter(|known| !known.contains(value)) {
        return Err(format!("{at}: {value} is none of {known:?}"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        return Err(format!("{at}: {number} is below {least}"));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (n, value) in values.iter().enumerate() {
            check(document, items, value, &format!("{at}[{n}]"))?;
        }
    }
    fields(document, schema, value, at)
}

fn fields(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        if !object.contains_key(name) {
            return Err(format!("{at}.{name} is missing"));
        }
    }
    for (name, value) in object {
        let at = format!("{at}.{name}");
        match (&schema["properties"][name.as_str()], schema.get("additionalProperties")) {
            (Value::Null, Some(more)) if more.is_object() => check(document, more, value, &at)?,
            (Value::Null, _) => {}
            (known, _) => check(document, known, value, &at)?,
        }
    }
    Ok(())
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
