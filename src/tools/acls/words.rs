//! The words of access control lists, and their numbers in the protocol.
use crate::client::admin::{AclEntry, AclResource};

/// A word by its number.
type Words = &'static [(i8, &'static str)];

pub const TOPIC: i8 = 2;
pub const GROUP: i8 = 3;
pub const CLUSTER: i8 = 4;
pub const TRANSACTIONAL_ID: i8 = 5;
pub const DELEGATION_TOKEN: i8 = 6;
pub const USER: i8 = 7;

const KINDS: Words = &[
    (1, "ANY"),
    (TOPIC, "TOPIC"),
    (GROUP, "GROUP"),
    (CLUSTER, "CLUSTER"),
    (TRANSACTIONAL_ID, "TRANSACTIONAL_ID"),
    (DELEGATION_TOKEN, "DELEGATION_TOKEN"),
    (USER, "USER"),
];

pub const LITERAL: i8 = 3;
pub const PREFIXED: i8 = 4;

const PATTERNS: Words = &[
    (1, "ANY"),
    (2, "MATCH"),
    (LITERAL, "LITERAL"),
    (PREFIXED, "PREFIXED"),
];

pub const DENY: i8 = 2;
pub const ALLOW: i8 = 3;

const PERMISSIONS: Words = &[(1, "ANY"), (DENY, "DENY"), (ALLOW, "ALLOW")];

pub const UNKNOWN: i8 = 0;
pub const ALL: i8 = 2;
pub const READ: i8 = 3;
pub const WRITE: i8 = 4;
pub const CREATE: i8 = 5;
pub const DELETE: i8 = 6;
pub const ALTER: i8 = 7;
pub const DESCRIBE: i8 = 8;
pub const CLUSTER_ACTION: i8 = 9;
pub const DESCRIBE_CONFIGS: i8 = 10;
pub const ALTER_CONFIGS: i8 = 11;
pub const IDEMPOTENT_WRITE: i8 = 12;
pub const CREATE_TOKENS: i8 = 13;
pub const DESCRIBE_TOKENS: i8 = 14;
pub const TWO_PHASE_COMMIT: i8 = 15;

const OPERATIONS: Words = &[
    (1, "ANY"),
    (ALL, "ALL"),
    (READ, "READ"),
    (WRITE, "WRITE"),
    (CREATE, "CREATE"),
    (DELETE, "DELETE"),
    (ALTER, "ALTER"),
    (DESCRIBE, "DESCRIBE"),
    (CLUSTER_ACTION, "CLUSTER_ACTION"),
    (DESCRIBE_CONFIGS, "DESCRIBE_CONFIGS"),
    (ALTER_CONFIGS, "ALTER_CONFIGS"),
    (IDEMPOTENT_WRITE, "IDEMPOTENT_WRITE"),
    (CREATE_TOKENS, "CREATE_TOKENS"),
    (DESCRIBE_TOKENS, "DESCRIBE_TOKENS"),
    (TWO_PHASE_COMMIT, "TWO_PHASE_COMMIT"),
];

/// What can be allowed on a kind of resource.
pub fn operations_of(kind: i8) -> &'static [i8] {
    match kind {
        TOPIC => &[
            READ,
            WRITE,
            CREATE,
            DESCRIBE,
            DELETE,
            ALTER,
            DESCRIBE_CONFIGS,
            ALTER_CONFIGS,
            ALL,
        ],
        GROUP => &[READ, DESCRIBE, DELETE, DESCRIBE_CONFIGS, ALTER_CONFIGS, ALL],
        CLUSTER => &[
            CREATE,
            CLUSTER_ACTION,
            DESCRIBE_CONFIGS,
            ALTER_CONFIGS,
            IDEMPOTENT_WRITE,
            ALTER,
            DESCRIBE,
            ALL,
        ],
        TRANSACTIONAL_ID => &[DESCRIBE, WRITE, TWO_PHASE_COMMIT, ALL],
        DELEGATION_TOKEN => &[DESCRIBE, ALL],
        USER => &[CREATE_TOKENS, DESCRIBE_TOKENS, ALL],
        _ => &[ALL],
    }
}

fn word(words: Words, number: i8) -> &'static str {
    let found = words.iter().find(|(known, _)| *known == number);
    found.map_or("UNKNOWN", |(_, word)| word)
}

pub fn kind(number: i8) -> &'static str {
    word(KINDS, number)
}

pub fn pattern(number: i8) -> &'static str {
    word(PATTERNS, number)
}

pub fn permission(number: i8) -> &'static str {
    word(PERMISSIONS, number)
}

pub fn operation(number: i8) -> &'static str {
    word(OPERATIONS, number)
}

/// The pattern type of that name, in any case.
pub fn pattern_number(name: &str) -> Option<i8> {
    let found = PATTERNS
        .iter()
        .find(|(_, word)| word.eq_ignore_ascii_case(name));
    found.map(|(number, _)| *number)
}

/// The operation as options spell it: `DescribeConfigs`; unknown ones are none that any resource
/// supports.
pub fn operation_number(name: &str) -> i8 {
    let spelled = |word: &str| -> String {
        let parts = word.split('_').map(|part| {
            let (first, rest) = part.split_at(part.len().min(1));
            format!("{first}{}", rest.to_ascii_lowercase())
        });
        parts.collect()
    };
    let found = OPERATIONS.iter().find(|(_, word)| spelled(word) == name);
    found.map_or(UNKNOWN, |(number, _)| *number)
}

/// As Java prints a pattern.
pub fn resource(resource: &AclResource) -> String {
    format!(
        "ResourcePattern(resourceType={}, name={}, patternType={})",
        kind(resource.kind),
        resource.name,
        pattern(resource.pattern_type)
    )
}

/// As Java prints an entry.
pub fn entry(entry: &AclEntry) -> String {
    format!(
        "(principal={}, host={}, operation={}, permissionType={})",
        entry.principal,
        entry.host,
        operation(entry.operation),
        permission(entry.permission)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_spelled_as_in_java() {
        for (name, want) in [
            ("All", ALL),
            ("Read", READ),
            ("DescribeConfigs", DESCRIBE_CONFIGS),
            ("TwoPhaseCommit", TWO_PHASE_COMMIT),
            ("read", UNKNOWN),
            ("Fly", UNKNOWN),
        ] {
            assert_eq!(operation_number(name), want, "{name}");
        }
        assert_eq!(pattern_number("Prefixed"), Some(PREFIXED));
        assert_eq!(pattern_number("unknown"), None);
    }
}
