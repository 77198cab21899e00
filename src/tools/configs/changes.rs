//! Which keys a command sets and deletes.
use std::collections::BTreeMap;

use crate::tools::cluster::load_properties;
use crate::tools::options::jopt::OptionSet;
use crate::tools::usage::UsageError;

#[derive(Debug, PartialEq, Eq)]
pub struct Changes {
    pub added: BTreeMap<String, String>,
    pub deleted: Vec<String>,
}

impl Changes {
    pub fn read(set: &OptionSet) -> anyhow::Result<Self> {
        let mut added = BTreeMap::new();
        if let Some(path) = set.value("add-config-file")? {
            let file = load_properties(Some(path))?;
            added.extend(
                file.iter()
                    .map(|(key, value)| (key.to_owned(), value.to_owned())),
            );
        }
        if let Some(text) = set.value("add-config")? {
            added.extend(parse(text)?);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "$._-".contains(c);
        if let Some(key) = added.keys().find(|key| !key.chars().all(allowed)) {
            return Err(
                UsageError(format!("Invalid character found for config key: {key}")).into(),
            );
        }
        let deleted = set.values("delete-config").iter();
        let deleted = deleted.flat_map(|list| list.split(','));
        Ok(Changes {
            added,
            deleted: deleted.map(|key| key.trim().to_owned()).collect(),
        })
    }
}

/// `k=v,k=[a,b]`: commas and equals signs within brackets belong to values.
fn parse(text: &str) -> Result<Vec<(String, String)>, UsageError> {
    let malformed = || {
        UsageError(
            "requirement failed: Invalid entity config: all configs to be added must be in the \
             format \"key=val\" or  \"key=[val1,val2]\" to group values which contain commas."
                .to_owned(),
        )
    };
    let mut parts = split_outside(text, ',');
    while parts.last().is_some_and(|part| part.is_empty()) && parts.len() > 1 {
        parts.pop();
    }
    parts
        .into_iter()
        .map(|part| match split_outside(part, '=').as_slice() {
            [key, value] => Ok((
                key.trim().to_owned(),
                value.replace(['[', ']'], "").trim().to_owned(),
            )),
            _ => Err(malformed()),
        })
        .collect()
}

/// Splits where the next bracket, if there is one, opens.
fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        let inside = rest
            .find(['[', ']'])
            .is_some_and(|bracket| rest.as_bytes().get(bracket) == Some(&b']'));
        if c == separator && !inside {
            parts.push(text.get(start..at).unwrap_or_default());
            start = at + c.len_utf8();
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_brackets_keep_their_commas() {
        for (text, want) in [
            ("a=1", vec![("a", "1")]),
            ("a=1,b=[x,y],c=", vec![("a", "1"), ("b", "x,y"), ("c", "")]),
            (
                "SCRAM-SHA-256=[iterations=8192,password=s]",
                vec![("SCRAM-SHA-256", "iterations=8192,password=s")],
            ),
            (" a = 1 ,", vec![("a", "1")]),
        ] {
            let parsed = parse(text).unwrap();
            let parsed: Vec<_> = parsed
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            assert_eq!(parsed, want, "{text}");
        }
        for wrong in ["a", "a=1=2", "a=1,b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
