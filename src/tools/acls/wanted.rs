//! Which resources and entries the options mean.
use std::collections::{BTreeMap, BTreeSet};

use super::words::{
    self, ALLOW, CLUSTER, CREATE, DELEGATION_TOKEN, DENY, DESCRIBE, GROUP, IDEMPOTENT_WRITE,
    LITERAL, PREFIXED, READ, TOPIC, TRANSACTIONAL_ID, USER, WRITE,
};
use crate::client::admin::{AclEntry, AclResource};
use crate::tools::options::jopt::{OptionError, OptionSet};
use crate::tools::usage::UsageError;

pub type Resources = BTreeSet<AclResource>;

/// The entries of each resource; none means all that there are.
pub type Wanted = BTreeMap<AclResource, BTreeSet<AclEntry>>;

fn cluster() -> AclResource {
    AclResource {
        kind: CLUSTER,
        name: "kafka-cluster".to_owned(),
        pattern_type: LITERAL,
    }
}

fn pattern_type(set: &OptionSet) -> anyhow::Result<i8> {
    let text = set.value("resource-pattern-type")?.unwrap_or_default();
    words::pattern_number(text).ok_or_else(|| {
        anyhow::Error::new(OptionError::Conversion {
            option: "resource-pattern-type",
            value: text.to_owned(),
        })
    })
}

/// The resources that the options name.
pub fn resources(set: &OptionSet) -> anyhow::Result<Resources> {
    let pattern_type = pattern_type(set)?;
    let mut resources = Resources::new();
    for (option, kind) in [
        ("topic", TOPIC),
        ("group", GROUP),
        ("transactional-id", TRANSACTIONAL_ID),
        ("delegation-token", DELEGATION_TOKEN),
        ("user-principal", USER),
    ] {
        resources.extend(set.values(option).iter().map(|name| AclResource {
            kind,
            name: name.trim().to_owned(),
            pattern_type,
        }));
    }
    if pattern_type == LITERAL && (set.has("cluster") || set.has("idempotent")) {
        resources.insert(cluster());
    }
    Ok(resources)
}

/// The entries to add or remove.
pub fn entries(set: &OptionSet) -> anyhow::Result<Wanted> {
    let mut wanted = Wanted::new();
    let (producer, consumer) = (set.has("producer"), set.has("consumer"));
    let resources = resources(set)?;
    if !producer && !consumer {
        let operations = match set.values("operation") {
            [] => vec![words::ALL],
            names => names
                .iter()
                .map(|name| words::operation_number(name.trim()))
                .collect(),
        };
        let entries = of_operations(set, &operations)?;
        some(&resources)?;
        for resource in resources {
            wanted.insert(resource, entries.clone());
        }
        return validated(wanted);
    }
    some(&resources)?;
    let mut grant = |kind, operations: &[i8]| -> anyhow::Result<()> {
        let entries = of_operations(set, operations)?;
        for resource in resources.iter().filter(|resource| resource.kind == kind) {
            let granted = wanted.entry(resource.clone()).or_default();
            granted.extend(entries.iter().cloned());
        }
        Ok(())
    };
    if producer {
        grant(TOPIC, &[WRITE, DESCRIBE, CREATE])?;
        grant(TRANSACTIONAL_ID, &[WRITE, DESCRIBE])?;
    }
    if consumer {
        grant(TOPIC, &[READ, DESCRIBE])?;
        grant(GROUP, &[READ])?;
    }
    if producer && set.has("idempotent") {
        let entries = of_operations(set, &[IDEMPOTENT_WRITE])?;
        wanted.insert(cluster(), entries);
    }
    validated(wanted)
}

/// The entries to add: every resource must have some, and be named as it will be stored.
pub fn additions(set: &OptionSet) -> anyhow::Result<Wanted> {
    let pattern_type = pattern_type(set)?;
    if !matches!(pattern_type, LITERAL | PREFIXED) {
        return Err(UsageError(format!(
            "A '--resource-pattern-type' value of '{}' is not valid when adding acls.",
            words::pattern(pattern_type)
        ))
        .into());
    }
    let wanted = entries(set)?;
    if wanted.values().any(BTreeSet::is_empty) {
        let text = "You must specify one of: --allow-principal, --deny-principal when trying to \
                    add ACLs.";
        return Err(UsageError(text.to_owned()).into());
    }
    Ok(wanted)
}

fn some(resources: &Resources) -> Result<(), UsageError> {
    match resources.is_empty() {
        true => Err(UsageError(
            "You must provide at least one resource: --topic <topic> or --cluster or --group \
             <group> or --delegation-token <Delegation Token ID>"
                .to_owned(),
        )),
        false => Ok(()),
    }
}

fn of_operations(set: &OptionSet, operations: &[i8]) -> anyhow::Result<BTreeSet<AclEntry>> {
    let mut entries = BTreeSet::new();
    for (principals, hosts, permission) in [
        ("allow-principal", "allow-host", ALLOW),
        ("deny-principal", "deny-host", DENY),
    ] {
        let mut from: Vec<&str> = set.values(hosts).iter().map(|host| host.trim()).collect();
        if from.is_empty() {
            from.push("*");
        }
        for principal in principals_of(set, principals)? {
            for operation in operations {
                entries.extend(from.iter().map(|host| AclEntry {
                    principal: principal.clone(),
                    host: (*host).to_owned(),
                    operation: *operation,
                    permission,
                }));
            }
        }
    }
    Ok(entries)
}

/// `User:alice`, … of an option.
pub fn principals_of(set: &OptionSet, option: &str) -> anyhow::Result<BTreeSet<String>> {
    let principals = set.values(option).iter().map(|text| {
        let text = text.trim();
        match text.contains(':') {
            true => Ok(text.to_owned()),
            false => anyhow::bail!(
                "expected a string in format principalType:principalName but got {text}"
            ),
        }
    });
    principals.collect()
}

/// Refuses operations that a resource does not know.
fn validated(wanted: Wanted) -> anyhow::Result<Wanted> {
    for (resource, entries) in &wanted {
        let known = words::operations_of(resource.kind);
        if entries.iter().all(|entry| known.contains(&entry.operation)) {
            continue;
        }
        let names: Vec<&str> = known
            .iter()
            .map(|number| words::operation(*number))
            .collect();
        return Err(UsageError(format!(
            "ResourceType {} only supports operations [{}]",
            words::kind(resource.kind),
            names.join(", ")
        ))
        .into());
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::super::options::DEFINITION;
    use super::*;
    use crate::tools::options::jopt::parse;

    fn set(line: &str) -> OptionSet {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&DEFINITION, &args).unwrap()
    }

    #[test]
    fn producers_and_consumers_get_what_they_need() {
        let line =
            "--allow-principal User:a --producer --consumer --idempotent --topic t --group g";
        let wanted = additions(&set(line)).unwrap();
        let operations = |kind: i8| -> Vec<&str> {
            let (_, entries) = wanted.iter().find(|(r, _)| r.kind == kind).unwrap();
            entries
                .iter()
                .map(|entry| words::operation(entry.operation))
                .collect()
        };
        assert_eq!(operations(TOPIC), ["READ", "WRITE", "CREATE", "DESCRIBE"]);
        assert_eq!(operations(GROUP), ["READ"]);
        assert_eq!(operations(CLUSTER), ["IDEMPOTENT_WRITE"]);
    }

    #[test]
    fn what_cannot_be_added() {
        for (line, want) in [
            (
                "--add --topic t",
                "You must specify one of: --allow-principal, --deny-principal when trying to add \
                 ACLs.",
            ),
            (
                "--allow-principal a --topic t",
                "expected a string in format principalType:principalName but got a",
            ),
            (
                "--allow-principal User:a --operation Write --group g",
                "ResourceType GROUP only supports operations [READ, DESCRIBE, DELETE, \
                 DESCRIBE_CONFIGS, ALTER_CONFIGS, ALL]",
            ),
            (
                "--allow-principal User:a --topic t --resource-pattern-type any",
                "A '--resource-pattern-type' value of 'ANY' is not valid when adding acls.",
            ),
        ] {
            let error = additions(&set(line)).unwrap_err().to_string();
            assert_eq!(error, want, "{line}");
        }
    }
}
