//! Our definitions say what Kafka's schemas say: the archive of them is read here on its own, and
//! compared fact by fact.

#[allow(dead_code)] // The generator uses the rest.
#[path = "../generator/definition.rs"]
mod definition;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use definition::{Definition, Field, Kind, Versions};
use serde_json::Value;

/// What is known of a message, one line per fact, in the order of its fields.
type Facts = Vec<String>;

#[test]
fn definitions_agree_with_kafkas_schemas() {
    let (ours, schemas) = (definitions(), schemas());
    assert_eq!(schemas.len(), 281);
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        schemas.keys().collect::<Vec<_>>()
    );
    for (name, schema) in &schemas {
        assert_eq!(
            facts_of_definition(&ours[name]),
            facts_of_schema(schema),
            "{name}"
        );
    }
}

fn definitions() -> BTreeMap<String, Definition> {
    let mut found = BTreeMap::new();
    let messages = Path::new(env!("CARGO_MANIFEST_DIR")).join("messages");
    for folder in std::fs::read_dir(messages).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let definition = definition::parse(&std::fs::read_to_string(&path).unwrap());
            let definition = definition.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            assert_eq!(path.file_stem().unwrap().to_str().unwrap(), definition.name);
            found.insert(definition.name.clone(), definition);
        }
    }
    found
}

fn schemas() -> BTreeMap<String, Value> {
    let archive = "../tests/fixtures/schemas/kafka-4.3.1-message-schemas.tar.gz";
    let archive = std::fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(archive)).unwrap();
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(archive)
        .read_to_end(&mut tar)
        .unwrap();
    let mut found = BTreeMap::new();
    let mut at = 0;
    // A tar file is a row of headers of 512 bytes, each followed by its file, padded to 512 bytes.
    while tar[at] != 0 {
        let text = |from: usize, length: usize| {
            let field = &tar[at + from..at + from + length];
            let field = field
                .split(|&byte| byte == 0 || byte == b' ')
                .next()
                .unwrap();
            std::str::from_utf8(field).unwrap()
        };
        let size = usize::from_str_radix(text(124, 12), 8).unwrap();
        if text(0, 100).ends_with(".json") {
            let json = std::str::from_utf8(&tar[at + 512..at + 512 + size]).unwrap();
            let schema: Value = serde_json::from_str(&without_comments(json)).unwrap();
            found.insert(schema["name"].as_str().unwrap().to_owned(), schema);
        }
        at += 512 + size.next_multiple_of(512);
    }
    found
}

/// JSON has no comments; Kafka's schemas have both kinds of Java's.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '/']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").unwrap() + 2
        } else {
            let end = 2 + rest[1..].find('"').unwrap();
            assert!(
                !rest[..end].contains('\\'),
                "strings with escapes are not expected"
            );
            out.push_str(&rest[..end]);
            end
        };
        rest = &rest[end..];
    }
    out + rest
}

fn spell(versions: Versions) -> String {
    match versions.0 {
        None => "none".to_owned(),
        Some((low, high)) => format!("{low}..={high}"),
    }
}

fn facts_of_definition(message: &Definition) -> Facts {
    let kind = match message.kind {
        Kind::Request => "request",
        Kind::Response => "response",
        Kind::Header => "header",
        Kind::Data => "data",
        Kind::Metadata => "metadata",
        Kind::CoordinatorKey => "coordinator-key",
        Kind::CoordinatorValue => "coordinator-value",
    };
    let mut facts = vec![format!(
        "{kind} key {:?} listeners {:?} versions {} flexible {} unstable {}",
        message.key,
        message.listeners,
        spell(message.versions),
        spell(message.flexible),
        message.latest_unstable
    )];
    for field in &message.fields {
        facts_of_field(field, "", &mut facts);
    }
    for (name, fields) in &message.structs {
        facts.push(format!("struct {name}"));
        for field in fields {
            facts_of_field(field, name, &mut facts);
        }
    }
    facts
}

fn facts_of_field(field: &Field, path: &str, facts: &mut Facts) {
    let path = format!("{path}.{}", field.name);
    facts.push(format!(
        "{path}: {}{} in {} null {} tag {:?} flexible {:?} default {:?} ignorable {}",
        if field.array { "[]" } else { "" },
        field.base,
        spell(field.versions),
        spell(field.nullable),
        field.tag.map(|(tag, versions)| (tag, spell(versions))),
        field.flexible.map(spell),
        field.default,
        field.ignorable
    ));
    for inner in field.fields.iter().flatten() {
        facts_of_field(inner, &path, facts);
    }
}

fn versions(value: &Value) -> Option<Versions> {
    value.as_str().map(|text| Versions::parse(text).unwrap())
}

fn facts_of_schema(schema: &Value) -> Facts {
    let mut listeners: Vec<&str> = schema["listeners"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|v| v.as_str().unwrap())
        .collect();
    listeners.sort();
    let mut facts = vec![format!(
        "{} key {:?} listeners {listeners:?} versions {} flexible {} unstable {}",
        schema["type"].as_str().unwrap(),
        schema["apiKey"].as_i64(),
        spell(versions(&schema["validVersions"]).unwrap()),
        spell(versions(&schema["flexibleVersions"]).unwrap_or(Versions::NONE)),
        schema["latestVersionUnstable"].as_bool().unwrap_or(false)
    )];
    for field in schema["fields"].as_array().into_iter().flatten() {
        facts_of_schema_field(field, "", &mut facts);
    }
    for common in schema["commonStructs"].as_array().into_iter().flatten() {
        let name = common["name"].as_str().unwrap();
        facts.push(format!("struct {name}"));
        for field in common["fields"].as_array().unwrap() {
            facts_of_schema_field(field, name, &mut facts);
        }
    }
    facts
}

fn facts_of_schema_field(field: &Value, path: &str, facts: &mut Facts) {
    let path = format!("{path}.{}", field["name"].as_str().unwrap());
    let tagged = versions(&field["taggedVersions"]);
    // A field that is always tagged may leave out its versions.
    let present = versions(&field["versions"]).or(tagged).unwrap();
    let default = match &field["default"] {
        Value::Null => None,
        Value::String(text) if field["type"] == "string" && text != "null" => {
            Some(format!("{text:?}"))
        }
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let ignorable = matches!(&field["ignorable"], Value::Bool(true))
        || field["ignorable"].as_str() == Some("true");
    facts.push(format!(
        "{path}: {} in {} null {} tag {:?} flexible {:?} default {default:?} ignorable {ignorable}",
        field["type"].as_str().unwrap(),
        spell(present),
        spell(versions(&field["nullableVersions"]).unwrap_or(Versions::NONE)),
        field["tag"]
            .as_u64()
            .map(|tag| (tag, spell(tagged.unwrap()))),
        versions(&field["flexibleVersions"]).map(spell),
    ));
    for inner in field["fields"].as_array().into_iter().flatten() {
        facts_of_schema_field(inner, &path, facts);
    }
}
