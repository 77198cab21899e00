//! Which values a key allows, and what is said to others.
use super::value::{self, Value};
use std::fmt;

/// Which values of the right kind are allowed.
#[derive(Debug, Clone, Copy)]
pub enum Validator {
    Any,
    NonNull,
    Range {
        min: Bound,
        max: Bound,
    },
    OneOf(&'static [&'static str]),
    OneOfIgnoreCase(&'static [&'static str]),
    /// Each item once and non-empty; of `valid`, unless that is empty.
    Items {
        valid: &'static [&'static str],
        empty: bool,
        null: bool,
    },
    NonEmptyString,
    /// A check of its own, and the words that say what it allows.
    Custom {
        allows: &'static str,
        check: fn(&'static str, &Value) -> Result<(), ConfigError>,
    },
}

/// An end of a range; shown as Java shows a number of that type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    None,
    Whole(i64),
    Double(f64),
}

impl Bound {
    fn number(self) -> Option<f64> {
        match self {
            Bound::None => None,
            Bound::Whole(number) => Some(number as f64),
            Bound::Double(number) => Some(number),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::None => Ok(()),
            Bound::Whole(number) => write!(f, "{number}"),
            Bound::Double(number) => f.write_str(&value::java_double(*number)),
        }
    }
}

/// A value that is not allowed, in Kafka's words: they cross the wire and scripts look at them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    InvalidValue {
        name: String,
        value: String,
        reason: String,
    },
    #[error("Missing required configuration \"{name}\" which has no default value.")]
    Missing { name: String },
    #[error("{0}")]
    Other(String),
}

impl ConfigError {
    pub fn invalid(name: &str, value: impl fmt::Display, reason: impl Into<String>) -> Self {
        Self::InvalidValue {
            name: name.to_owned(),
            value: value.to_string(),
            reason: reason.into(),
        }
    }
}

impl Validator {
    pub fn check(&self, name: &'static str, value: &Value) -> Result<(), ConfigError> {
        let invalid = |reason: String| Err(ConfigError::invalid(name, value, reason));
        match *self {
            Validator::Any => Ok(()),
            Validator::NonNull if value.is_null() => invalid("entry must be non null".into()),
            Validator::NonNull => Ok(()),
            Validator::Range { min, max } => match value.as_number() {
                None => invalid("Value must be non-null".into()),
                Some(n) if min.number().is_some_and(|min| n < min) => {
                    invalid(format!("Value must be at least {min}"))
                }
                Some(n) if max.number().is_some_and(|max| n > max) => {
                    invalid(format!("Value must be no more than {max}"))
                }
                Some(_) => Ok(()),
            },
            Validator::OneOf(valid) => match value.as_str() {
                Some(text) if valid.contains(&text) => Ok(()),
                _ => invalid(format!("String must be one of: {}", valid.join(", "))),
            },
            Validator::OneOfIgnoreCase(valid) => match value.as_str() {
                Some(text) if valid.iter().any(|v| v.eq_ignore_ascii_case(text)) => Ok(()),
                _ => invalid(format!(
                    "String must be one of (case insensitive): {}",
                    valid.join(", ")
                )),
            },
            Validator::Items { valid, empty, null } => match value {
                Value::List(items) => check_items(name, items, valid, empty),
                _ if null => Ok(()),
                _ => Err(ConfigError::Other(format!(
                    "Configuration '{name}' values must not be null."
                ))),
            },
            Validator::NonEmptyString => match value.as_str() {
                Some("") => invalid("String must be non-empty".into()),
                _ => Ok(()),
            },
            Validator::Custom { check, .. } => check(name, value),
        }
    }

    /// What Kafka's documentation lists as valid values; empty when everything is.
    pub fn allows(&self) -> String {
        match *self {
            Validator::Any => String::new(),
            Validator::NonNull => "non-null string".into(),
            Validator::Range {
                min,
                max: Bound::None,
            } => format!("[{min},...]"),
            Validator::Range {
                min: Bound::None,
                max,
            } => format!("[...,{max}]"),
            Validator::Range { min, max } => format!("[{min},...,{max}]"),
            Validator::Items { valid: [], .. } => String::new(),
            Validator::OneOf(valid) | Validator::Items { valid, .. } => {
                format!("[{}]", valid.join(", "))
            }
            Validator::OneOfIgnoreCase(valid) => {
                format!("(case insensitive) [{}]", valid.join(", "))
            }
            Validator::NonEmptyString => "non-empty string".into(),
            Validator::Custom { allows, .. } => allows.into(),
        }
    }
}

fn check_items(
    name: &'static str,
    items: &[String],
    valid: &'static [&'static str],
    empty: bool,
) -> Result<(), ConfigError> {
    let problem = |text: String| Err(ConfigError::Other(format!("Configuration '{name}' {text}")));
    if items.is_empty() && !empty {
        let valid = if valid.is_empty() {
            "any non-empty value".into()
        } else {
            format!("[{}]", valid.join(", "))
        };
        return problem(format!("must not be empty. Valid values include: {valid}"));
    }
    if (1..items.len()).any(|i| items[..i].contains(&items[i])) {
        return problem("values must not be duplicated.".into());
    }
    for item in items {
        if item.is_empty() {
            return problem("values must not be empty.".into());
        }
        if !valid.is_empty() && !valid.contains(&item.as_str()) {
            return Err(ConfigError::invalid(
                name,
                item,
                format!("String must be one of: {}", valid.join(", ")),
            ));
        }
    }
    Ok(())
}
