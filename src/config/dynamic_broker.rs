//! What a broker that runs refuses to change about itself, beyond what makes no sense at any time.

use super::broker_config::check_ranges;
use super::definition::{ConfigError, Values};
use super::layers::DynamicConfig;

/// Pools whose size may at most double, or halve, at once.
const THREADS: [&str; 5] = [
    "num.io.threads",
    "num.network.threads",
    "num.replica.fetchers",
    "num.recovery.threads.per.data.dir",
    "background.threads",
];
const CLEANERS: &str = "log.cleaner.threads";
const OVERRIDES: &str = "max.connections.per.ip.overrides";
const REPORTERS: &str = "metric.reporters";
/// The classes of reporters that mean something here.
const KNOWN_REPORTERS: [&str; 1] = ["org.apache.kafka.common.metrics.JmxReporter"];

/// Checks the way from the values that hold to those that would; `updates` is what is set in one layer.
pub fn check_update(
    current: &Values,
    next: &Values,
    updates: &DynamicConfig,
) -> Result<(), ConfigError> {
    if let Some(text) = updates.get(OVERRIDES) {
        check_overrides(text)?;
    }
    check_ranges(next).map_err(|e| ConfigError::Other(format!("requirement failed: {e}")))?;
    for key in THREADS {
        let (from, to) = (current.int(key), next.int(key));
        let failed = |bound: &str| {
            refuse(&format!(
                "Dynamic thread count update validation failed for {key}={to}, value should {bound} \
                 the current value {from}"
            ))
        };
        if to < from / 2 {
            return failed("be at least half");
        }
        if i64::from(to) > i64::from(from) * 2 {
            return failed("not be greater than double");
        }
    }
    let (from, to) = (current.int(CLEANERS), next.int(CLEANERS));
    let failed = |bound: &str| {
        refuse(&format!(
            "Log cleaner threads cannot be {bound} the current value {from}"
        ))
    };
    if to < from / 2 {
        return failed("reduced to less than half");
    }
    if i64::from(to) > i64::from(from) * 2 {
        return failed("increased to more than double");
    }
    if let Some(text) = updates.get(REPORTERS) {
        let mut classes = text
            .split(',')
            .map(str::trim)
            .filter(|class| !class.is_empty());
        if !classes.all(|class| KNOWN_REPORTERS.contains(&class)) {
            return refuse(
                "Validation of dynamic config update of Set(metric.reporters) failed with class \
                 class kafka.server.DynamicMetricsReporters",
            );
        }
    }
    Ok(())
}

fn refuse(problem: &str) -> Result<(), ConfigError> {
    Err(ConfigError::Other(format!(
        "Invalid value org.apache.kafka.common.config.ConfigException: {problem} for configuration \
         Invalid dynamic configuration"
    )))
}

/// `host:count,…`
fn check_overrides(text: &str) -> Result<(), ConfigError> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    for pair in pairs {
        let count = pair.rsplit_once(':').map_or("", |(_, count)| count.trim());
        if count.parse::<i32>().is_err() {
            return Err(ConfigError::Other(format!("For input string: \"{count}\"")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Properties, broker};
    use super::*;

    fn refused(pairs: &[(&str, &str)]) -> Option<String> {
        let required = "node.id=1\nprocess.roles=broker\ncontroller.listener.names=C\n";
        let file = Properties::parse(required).unwrap();
        let current = broker::table().parse(&file).unwrap();
        let mut changed = file;
        let mut updates = DynamicConfig::new();
        for (key, value) in pairs {
            changed.set(*key, *value);
            updates.insert((*key).to_owned(), (*value).to_owned());
        }
        let next = broker::table().parse(&changed).unwrap();
        check_update(&current, &next, &updates)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn pools_at_most_double_or_halve() {
        assert_eq!(refused(&[("num.io.threads", "16")]), None);
        assert_eq!(refused(&[("num.io.threads", "4")]), None);
        let more = refused(&[("num.io.threads", "17")]).unwrap();
        assert!(more.contains("should not be greater than double the current value 8"));
        let less = refused(&[("num.io.threads", "3")]).unwrap();
        assert!(
            less.contains("should be at least half the current value 8"),
            "{less}"
        );
        let cleaners = refused(&[("log.cleaner.threads", "3")]).unwrap();
        assert!(cleaners.contains("increased to more than double the current value 1"));
    }

    #[test]
    fn what_cannot_be_as_a_whole_is_refused() {
        let small = refused(&[("log.cleaner.dedupe.buffer.size", "1")]).unwrap();
        assert!(small.starts_with("requirement failed: log.cleaner.dedupe.buffer.size"));
        let overrides = refused(&[("max.connections.per.ip.overrides", "a:1,b:x")]);
        assert_eq!(overrides.as_deref(), Some("For input string: \"x\""));
        assert!(refused(&[("metric.reporters", "no.such.Class")]).is_some());
    }
}
