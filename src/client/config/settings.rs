//! Reading typed values from properties, with Kafka's wording for what is wrong, and a warning
//! for keys that nobody asked for.
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::client::errors::{ClientError, Result};
use crate::config::Properties;

/// Keys that only mean something to Java clients: classes, metrics and serializers.
const JAVA_ONLY: &[&str] = &[
    "auto.include.jmx.reporter",
    "enable.metrics.push",
    "interceptor.classes",
    "key.deserializer",
    "key.serializer",
    "value.deserializer",
    "value.serializer",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "security.providers",
    "config.providers",
];

pub struct Settings<'a> {
    properties: &'a Properties,
    client: &'static str,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Settings<'a> {
    pub fn new(properties: &'a Properties, client: &'static str) -> Self {
        let asked = JAVA_ONLY.iter().copied().collect();
        Self {
            properties,
            client,
            asked: RefCell::new(asked),
        }
    }

    pub fn get(&self, key: &'static str) -> Option<&'a str> {
        self.asked.borrow_mut().insert(key);
        self.properties.get(key).map(str::trim)
    }

    pub fn required(&self, key: &'static str) -> Result<&'a str> {
        self.get(key).ok_or_else(|| {
            ClientError::config(format!(
                "Missing required configuration \"{key}\" which has no default value."
            ))
        })
    }

    pub fn text(&self, key: &'static str, default: &'a str) -> &'a str {
        self.get(key).unwrap_or(default)
    }

    /// A whole number within limits.
    pub fn int(&self, key: &'static str, default: i64, min: i64, max: i64) -> Result<i64> {
        let Some(text) = self.get(key) else {
            return Ok(default);
        };
        let number: i64 = text
            .parse()
            .map_err(|_| invalid(key, text, "Not a number of its type"))?;
        if number < min {
            return Err(invalid(key, text, &format!("Value must be at least {min}")));
        }
        if number > max {
            return Err(invalid(
                key,
                text,
                &format!("Value must be no more than {max}"),
            ));
        }
        Ok(number)
    }

    pub fn bytes(&self, key: &'static str, default: usize) -> Result<usize> {
        let number = self.int(key, default as i64, 0, i64::MAX)?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// Milliseconds, not negative.
    pub fn ms(&self, key: &'static str, default: i64) -> Result<Duration> {
        Ok(Duration::from_millis(
            self.int(key, default, 0, i64::MAX)?.unsigned_abs(),
        ))
    }

    pub fn bool(&self, key: &'static str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(invalid(
                key,
                text,
                "Expected value to be either true or false",
            )),
        }
    }

    /// A word out of a few; its case does not matter.
    pub fn one_of(
        &self,
        key: &'static str,
        default: &'static str,
        words: &[&'static str],
    ) -> Result<&'static str> {
        let Some(text) = self.get(key) else {
            return Ok(default);
        };
        words
            .iter()
            .copied()
            .find(|word| word.eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                invalid(
                    key,
                    text,
                    &format!("String must be one of: {}", words.join(", ")),
                )
            })
    }

    /// Says once which keys have no effect, as Kafka's clients do.
    pub fn warn_about_unknown(&self) {
        let asked = self.asked.borrow();
        let unknown: Vec<&str> = self
            .properties
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !asked.contains(key))
            .collect();
        if !unknown.is_empty() {
            tracing::warn!(
                "these configurations '{}' were supplied to the {} but are not used",
                unknown.join(", "),
                self.client
            );
        }
    }
}

/// Kafka's sentence for a bad value.
pub fn invalid(key: &str, value: &str, why: &str) -> ClientError {
    ClientError::config(format!(
        "Invalid value {value} for configuration {key}: {why}"
    ))
}
