//! Checks of single keys that are more than a range or a choice. The messages are those of Kafka.
use super::definition::{ConfigError, Validator};
use super::value::Value;

macro_rules! custom {
    ($name:ident, $allows:expr, $check:expr) => {
        pub(super) const $name: Validator = Validator::Custom {
            allows: $allows,
            check: $check,
        };
    };
}

custom!(
    GZIP_LEVEL,
    "[1,...,9] or -1",
    |name, value| match value.as_number() {
        Some(level) if level == -1.0 || (1.0..=9.0).contains(&level) => Ok(()),
        _ => invalid(name, value, "Value must be between 1 and 9 or equal to -1"),
    }
);
custom!(QUORUM_VOTERS, "non-empty list", |name, value| {
    items(value)
        .iter()
        .try_for_each(|entry| parse_voter(name, entry).map(drop))
});
custom!(BOOTSTRAP_SERVERS, "non-empty list", |name, value| {
    items(value)
        .iter()
        .try_for_each(|entry| match parse_host_port(entry) {
            Some(_) => Ok(()),
            None => other(format!(
                "Failed to parse host name from {entry} for the configuration {name}. \
             Each entry should be in the form \"{{host}}:{{port}}\""
            )),
        })
});
custom!(
    THROTTLED_REPLICAS,
    "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
    |name, value| {
        let entries = items(value);
        let is_replica = |entry: &String| {
            let mut parts = entry
                .split(':')
                .map(|part| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit()));
            matches!(
                (parts.next(), parts.next(), parts.next()),
                (Some(true), Some(true), None)
            )
        };
        // Java's split drops empty entries at the end.
        let filled = entries.len() - entries.iter().rev().take_while(|e| e.is_empty()).count();
        if entries == ["*"] || entries[..filled].iter().all(is_replica) {
            return Ok(());
        }
        invalid(
            name,
            value,
            format!(
                "{name} must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],..."
            ),
        )
    }
);
custom!(
    AUTO_OFFSET_RESET,
    "[latest, earliest, none, by_duration:PnDTnHnMn.nS]",
    |name, value| {
        let allowed = "The value must be either 'earliest', 'latest', 'none' or of the format \
                   'by_duration:<PnDTnHnMn.nS.>'.";
        offset_reset(name, value, &["earliest", "latest", "none"], allowed)
    }
);
custom!(
    SHARE_AUTO_OFFSET_RESET,
    "[latest, earliest, by_duration:PnDTnHnMn.nS]",
    |name, value| {
        let allowed = "The value must be either 'earliest', 'latest' or of the format \
                   'by_duration:<PnDTnHnMn.nS>'.";
        offset_reset(name, value, &["earliest", "latest"], allowed)
    }
);
custom!(
    SHARE_ACQUIRE_MODE,
    "[batch_optimized, record_limit]",
    |name, value| {
        let allowed = "The value must either be 'batch_optimized' or 'record_limit'.";
        let modes = ["batch_optimized", "record_limit"];
        let is_mode = |text: &str| modes.iter().any(|mode| mode.eq_ignore_ascii_case(text));
        mode(name, value, is_mode, allowed)
    }
);
custom!(
    SHARE_ACKNOWLEDGEMENT_MODE,
    "[implicit, explicit]",
    |name, value| {
        let allowed = "The value must either be 'implicit' or 'explicit'.";
        mode(
            name,
            value,
            |text| matches!(text, "implicit" | "explicit"),
            allowed,
        )
    }
);
custom!(
    REPLICATION_FACTOR,
    "Positive number not larger than the number of brokers in the Kafka cluster, or -1 to use \
     the broker's default",
    |name, value| positive_or_default(
        name,
        value,
        "Replication factor must be positive and not larger than the number of brokers in the \
         Kafka cluster, or -1 to use the broker's default"
    )
);
custom!(
    PARTITIONS,
    "Positive number, or -1 to use the broker's default",
    |name, value| {
        let reason = "Number of partitions must be positive, or -1 to use the broker's default";
        positive_or_default(name, value, reason)
    }
);
custom!(
    CONNECT_PROTOCOL,
    "[eager, compatible, sessioned]",
    |name, value| match value.as_str() {
        Some("eager" | "compatible" | "sessioned") => Ok(()),
        _ => invalid(name, value, "Invalid Connect protocol compatibility"),
    }
);
custom!(
    REST_LISTENERS,
    "List of comma-separated URLs, ex: http://localhost:8080,https://localhost:8443.",
    |name, value| match items(value) {
        [] => other(format!(
            "Invalid value for {name}, at least one URL is expected, \
             ex: http://localhost:8080,https://localhost:8443."
        )),
        urls if urls.iter().any(String::is_empty) => {
            other("Empty URL found when parsing listeners list.".into())
        }
        _ => Ok(()),
    }
);
custom!(
    HTTP_HEADERS,
    "Comma-separated header rules, where each header rule is of the form \
     '[action] [header name]:[header value]' and optionally surrounded by double quotes if any \
     part of a header rule contains a comma",
    |_, value| match value.as_str().map(str::trim) {
        None | Some("") => Ok(()),
        Some(rules) => split_quoted(rules)
            .iter()
            .try_for_each(|rule| check_header_rule(rule)),
    }
);
custom!(
    CONNECTOR_NAME,
    "non-empty string without ISO control characters",
    |name, value| match value.as_str() {
        None | Some("") => invalid(name, value, "String may not be empty"),
        Some(text) => {
            let found: Vec<String> = text
                .chars()
                .filter(|c| c.is_control())
                .map(|c| u32::from(c).to_string())
                .collect();
            if found.is_empty() {
                return Ok(());
            }
            let reason = "String may not contain control sequences but had the following ASCII \
                          chars: ";
            invalid(name, value, format!("{reason}{}", found.join(", ")))
        }
    }
);
custom!(REGEX, "valid regex", |name, value| match value.as_str() {
    Some(pattern) => match regex::Regex::new(pattern) {
        Ok(_) => Ok(()),
        Err(error) => {
            let error = error.to_string();
            let what = error.lines().last().unwrap_or_default();
            invalid(
                name,
                value,
                format!("Invalid regex: {}", what.trim_start_matches("error: ")),
            )
        }
    },
    None => Ok(()),
});
custom!(
    TRANSFORMS,
    "non-null string, unique transformation aliases",
    unique_aliases
);
custom!(
    PREDICATES,
    "non-null string, unique predicate aliases",
    unique_aliases
);
custom!(
    TOPIC_CREATION_GROUPS,
    "non-null string, unique topic creation groups",
    unique_aliases
);

fn invalid(name: &str, value: &Value, reason: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::invalid(name, value, reason))
}

fn other<T>(text: String) -> Result<T, ConfigError> {
    Err(ConfigError::Other(text))
}

fn items(value: &Value) -> &[String] {
    match value {
        Value::List(items) => items,
        _ => &[],
    }
}

/// One entry of `controller.quorum.voters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

/// Takes `{id}@{host}:{port}` apart.
pub fn parse_voter(name: &str, entry: &str) -> Result<Voter, ConfigError> {
    let form = "Each entry should be in the form `{id}@{host}:{port}`.";
    let Some((id, address)) = entry
        .split_once('@')
        .filter(|(_, rest)| !rest.contains('@'))
    else {
        return other(format!("Invalid configuration value for {name}. {form}"));
    };
    let Ok(id) = id.parse() else {
        return other(format!("Failed to parse voter ID as an integer from {id}"));
    };
    match parse_host_port(address) {
        Some((host, port)) => Ok(Voter { id, host, port }),
        None => other(format!(
            "Failed to parse host name from entry {entry} for the configuration {name}. {form}"
        )),
    }
}

/// `host:port` or `[address]:port`; the host may be empty. A protocol before it is dropped.
pub fn parse_host_port(text: &str) -> Option<(String, u16)> {
    let address = text.rsplit_once("://").map_or(text, |(_, address)| address);
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']')?,
        None => host,
    };
    Some((host.to_owned(), port.parse().ok()?))
}

fn offset_reset(
    name: &str,
    value: &Value,
    words: &[&str],
    allowed: &str,
) -> Result<(), ConfigError> {
    let text = value.as_str().unwrap_or_default();
    let is_duration = |text: &str| {
        text.strip_prefix("by_duration:")
            .and_then(parse_duration_ms)
            .is_some()
    };
    if words.contains(&text) || is_duration(text) {
        return Ok(());
    }
    invalid(
        name,
        value,
        format!("Invalid value `{text}` for configuration {name}. {allowed}"),
    )
}

fn mode(
    name: &str,
    value: &Value,
    is_mode: impl Fn(&str) -> bool,
    allowed: &str,
) -> Result<(), ConfigError> {
    let text = value.as_str().unwrap_or_default();
    if is_mode(text) {
        return Ok(());
    }
    invalid(
        name,
        value,
        format!("Invalid value `{text}` for configuration {name}. {allowed}"),
    )
}

/// An ISO-8601 duration (`P1DT2H3M4.5S`) that is not negative, in milliseconds.
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let rest = upper.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let (days_ms, rest) = take_unit(days, 'D', 86_400_000)?;
    if !rest.is_empty() {
        return None;
    }
    let (hours_ms, rest) = take_unit(time, 'H', 3_600_000)?;
    let (minutes_ms, rest) = take_unit(rest, 'M', 60_000)?;
    let seconds_ms = match rest.strip_suffix('S') {
        None if rest.is_empty() => 0,
        None => return None,
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
            if fraction.len() > 9 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
                return None;
            }
            let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
            whole
                .parse::<i64>()
                .ok()?
                .checked_mul(1000)?
                .checked_add(millis)?
        }
    };
    let sum = days_ms
        .checked_add(hours_ms)?
        .checked_add(minutes_ms)?
        .checked_add(seconds_ms)?;
    (sum >= 0).then_some(sum)
}

/// The number before `unit` in milliseconds, and what follows; 0 without that unit.
fn take_unit(text: &str, unit: char, unit_ms: i64) -> Option<(i64, &str)> {
    match text.split_once(unit) {
        Some((number, rest)) => Some((number.parse::<i64>().ok()?.checked_mul(unit_ms)?, rest)),
        None => Some((0, text)),
    }
}

fn positive_or_default(name: &str, value: &Value, reason: &str) -> Result<(), ConfigError> {
    match value.as_number() {
        Some(number) if number == -1.0 || number >= 1.0 => Ok(()),
        _ => invalid(name, value, reason),
    }
}

fn unique_aliases(name: &'static str, value: &Value) -> Result<(), ConfigError> {
    let aliases = items(value);
    if (1..aliases.len()).any(|i| aliases[..i].contains(&aliases[i])) {
        return invalid(name, value, "Duplicate alias provided.");
    }
    Ok(())
}

/// Splits at commas outside of double quotes; the quotes around a rule go.
fn split_quoted(text: &str) -> Vec<String> {
    let mut rules = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match (c, rules.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => rules.push(String::new()),
            (_, Some(rule)) => rule.push(c),
            (_, None) => {}
        }
    }
    rules.iter().map(|rule| rule.trim().to_owned()).collect()
}

fn check_header_rule(rule: &str) -> Result<(), ConfigError> {
    let Some((action, header)) = rule.split_once(char::is_whitespace) else {
        return other(format!(
            "Invalid format of header config '{rule}'. \
             Expected: '[action] [header name]:[header value]'"
        ));
    };
    if !["set", "add", "setDate", "addDate"].contains(&action) {
        return other(format!(
            "Invalid header config action: '{action}'. \
             Expected one of [set, add, setDate, addDate]"
        ));
    }
    let header = header.trim();
    let Some((name, _)) = header.split_once(':') else {
        return other(format!(
            "Invalid format of header name and header value pair '{header}'. \
             Expected: '[header name]:[header value]'"
        ));
    };
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return other(format!(
            "Invalid header name '{name}'. The '[header name]' cannot contain whitespace"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        for (text, ms) in [
            ("PT1H", 3_600_000),
            ("pt1m", 60_000),
            ("P1DT2H3.5S", 86_400_000 + 7_200_000 + 3500),
            ("P2D", 172_800_000),
            ("PT0.0015S", 1),
        ] {
            assert_eq!(parse_duration_ms(text), Some(ms), "{text}");
        }
        for text in [
            "", "P", "PT", "P1Y", "x", "-PT1H", "PT-1H", "P1DT", "PT1M1H", "PT1x",
        ] {
            assert_eq!(parse_duration_ms(text), None, "{text}");
        }
    }

    #[test]
    fn takes_addresses_apart() {
        assert_eq!(parse_host_port("[::1]:9"), Some(("::1".into(), 9)));
        assert_eq!(parse_host_port(":9"), Some((String::new(), 9)));
        assert_eq!(parse_host_port("PLAINTEXT://a:1"), Some(("a".into(), 1)));
        for text in ["a", "a:", "a:x", "a:70000", "[::1:9"] {
            assert_eq!(parse_host_port(text), None, "{text}");
        }
    }

    #[test]
    fn takes_voters_apart() {
        let voter = Voter {
            id: 1,
            host: "a".into(),
            port: 2,
        };
        assert_eq!(parse_voter("k", "1@a:2"), Ok(voter));
        assert_eq!(
            parse_voter("k", "x@a:2").unwrap_err().to_string(),
            "Failed to parse voter ID as an integer from x"
        );
    }
}
