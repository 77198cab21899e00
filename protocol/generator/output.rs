//! The generated files: one per folder of definitions, the facts of the APIs, and a registry for
//! the tests.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::definition::{self, Definition, Kind};
use crate::{emit, names};

/// All definitions of one folder, in the order of their names.
type Folders = BTreeMap<String, Vec<Definition>>;

/// Reads the definitions under `source` and writes `FOLDER.rs`, `apis.rs` and `registry.rs` to
/// `target`.
pub fn generate(source: &Path, target: &Path) -> Result<(), String> {
    let folders = load(source)?;
    let unstable = unstable_keys(&folders);
    let mut registry = String::new();
    for (folder, definitions) in &folders {
        let mut out = String::from("use crate::prelude::{self, *};\n\n");
        for message in definitions {
            let Some(versions) = wire_versions(message, &unstable) else {
                continue;
            };
            let module = names::snake(&message.name);
            let _ = writeln!(out, "pub use {module}::{};", message.name);
            let code = emit::module(message, versions);
            out.push_str(&code.map_err(|why| format!("{}: {why}", message.name))?);
            out.push('\n');
            register(&mut registry, folder, message);
        }
        coordinator_records(&mut out, folder, definitions);
        save(target, folder, &out)?;
    }
    save(target, "apis", &apis(&folders, &unstable))?;
    let registry = format!("pub const ALL: &[Entry] = &[\n{registry}];\n");
    save(target, "registry", &registry)
}

fn load(source: &Path) -> Result<Folders, String> {
    let mut folders = Folders::new();
    for folder in entries(source)? {
        let mut definitions = Vec::new();
        for file in entries(&folder)? {
            let text = fs::read_to_string(&file).map_err(|why| format!("{file:?}: {why}"))?;
            let definition = definition::parse(&text);
            definitions.push(definition.map_err(|why| format!("{}: {why}", file.display()))?);
        }
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        folders.insert(name, definitions);
    }
    Ok(folders)
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let read = fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let mut paths: Vec<_> = read
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    Ok(paths)
}

/// The keys whose request says that its last version is not stable yet.
fn unstable_keys(folders: &Folders) -> Vec<i16> {
    let all = folders.values().flatten();
    all.filter(|message| message.latest_unstable)
        .filter_map(|message| message.key)
        .collect()
}

/// The versions that may be on the wire; `None` for a message that has been retired.
fn wire_versions(message: &Definition, unstable: &[i16]) -> Option<(i16, i16)> {
    let (low, high) = message.versions.0?;
    let api = matches!(message.kind, Kind::Request | Kind::Response);
    let drop_last = api && message.key.is_some_and(|key| unstable.contains(&key));
    Some((low, if drop_last { high - 1 } else { high }))
}

fn save(target: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = target.join(format!("{name}.rs"));
    fs::write(&path, text).map_err(|why| format!("{}: {why}", path.display()))
}

fn register(registry: &mut String, folder: &str, message: &Definition) {
    let place = match folder {
        "api" | "data" => "messages".to_owned(),
        "header" => "header".to_owned(),
        _ => format!("records::{folder}"),
    };
    let key = message
        .key
        .map_or("None".to_owned(), |key| format!("Some({key})"));
    let entry = if emit::is_stored(message.kind) {
        "stored"
    } else {
        "entry"
    };
    let _ = writeln!(
        registry,
        "    {entry}::<kafkars_protocol::{place}::{}>(\"{folder}\", {key}),",
        message.name
    );
}

/// What the definitions say of each API: key, name, stable versions, first flexible version,
/// listeners.
fn apis(folders: &Folders, unstable: &[i16]) -> String {
    let mut rows = BTreeMap::new();
    let requests = folders
        .values()
        .flatten()
        .filter(|message| message.kind == Kind::Request);
    for message in requests {
        let (Some(key), Some((low, high))) = (message.key, wire_versions(message, unstable)) else {
            continue;
        };
        let name = message.name.trim_end_matches("Request");
        let flexible = match message.flexible.0 {
            None => "i16::MAX".to_owned(),
            Some((first, _)) => first.to_string(),
        };
        let on = |listener: &str| message.listeners.iter().any(|name| name == listener);
        let row = format!(
            "    ApiFacts {{ key: {key}, name: \"{name}\", versions: ({low}, {high}), \
             first_flexible: {flexible}, broker: {}, controller: {} }},\n",
            on("broker"),
            on("controller")
        );
        rows.insert(key, row);
    }
    let rows: String = rows.into_values().collect();
    format!("pub(crate) const API_FACTS: &[ApiFacts] = &[\n{rows}];\n")
}

/// An enum over the keys of a coordinator's records and one over their values.
fn coordinator_records(out: &mut String, folder: &str, definitions: &[Definition]) {
    let mut types = BTreeMap::new();
    for message in definitions
        .iter()
        .filter(|message| message.kind == Kind::CoordinatorKey)
    {
        if let Some(key) = message.key {
            types.insert(key, message.name.trim_end_matches("Key"));
        }
    }
    if types.is_empty() {
        return;
    }
    let mut prefix = folder.to_owned();
    prefix[..1].make_ascii_uppercase();
    let names: Vec<_> = types.values().copied().collect();
    let _ = writeln!(
        out,
        "crate::records::coordinator_records!({prefix}RecordKey, {prefix}RecordValue; {});",
        names
            .iter()
            .map(|name| format!("{name} {name}Key {name}Value"))
            .collect::<Vec<_>>()
            .join(", ")
    );
}
