//! Values of configuration keys: parsing them as Kafka does and writing them as Java shows them.
use super::definition::{ConfigError, Kind};
use std::fmt;

/// A parsed value; `Null` when a key has neither a value nor a default.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    String(String),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    List(Vec<String>),
    Class(String),
    Password(String),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(f64::from(*n)),
            Value::Short(n) => Some(f64::from(*n)),
            // Bounds are small whole numbers, so that rounding cannot cross one.
            Value::Long(n) => Some(*n as f64),
            Value::Double(n) => Some(*n),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::Class(text) => Some(text),
            _ => None,
        }
    }

    /// The text that reads back as this value; none for null. Shows passwords.
    pub fn to_text(&self) -> Option<String> {
        Some(match self {
            Value::Null => return None,
            Value::Boolean(value) => value.to_string(),
            Value::String(text) | Value::Class(text) | Value::Password(text) => text.clone(),
            Value::Int(n) => n.to_string(),
            Value::Short(n) => n.to_string(),
            Value::Long(n) => n.to_string(),
            Value::Double(n) => java_double(*n),
            Value::List(items) => items.join(","),
        })
    }
}

/// As Java prints it in an error message: lists in brackets, passwords hidden.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::List(items) => write!(f, "[{}]", items.join(", ")),
            Value::Password(_) => f.write_str("[hidden]"),
            other => f.write_str(&other.to_text().unwrap_or_default()),
        }
    }
}

/// `String.trim` of Java: everything up to the blank goes, also control characters.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// `ConfigDef.parseType`.
pub(super) fn parse(name: &str, kind: Kind, text: &str) -> Result<Value, ConfigError> {
    let trimmed = java_trim(text);
    let not_a_number =
        || ConfigError::invalid(name, text, format!("Not a number of type {}", kind.name()));
    Ok(match kind {
        Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Value::Boolean(true),
        Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Value::Boolean(false),
        Kind::Boolean => {
            let reason = "Expected value to be either true or false";
            return Err(ConfigError::invalid(name, text, reason));
        }
        Kind::String => Value::String(trimmed.to_owned()),
        Kind::Class => Value::Class(trimmed.to_owned()),
        Kind::Password => Value::Password(trimmed.to_owned()),
        Kind::Int => Value::Int(trimmed.parse().map_err(|_| not_a_number())?),
        Kind::Short => Value::Short(trimmed.parse().map_err(|_| not_a_number())?),
        Kind::Long => Value::Long(trimmed.parse().map_err(|_| not_a_number())?),
        Kind::Double => Value::Double(parse_double(trimmed).ok_or_else(not_a_number)?),
        Kind::List if trimmed.is_empty() => Value::List(Vec::new()),
        Kind::List => Value::List(
            trimmed
                .split(',')
                .map(|item| item.trim_ascii().to_owned())
                .collect(),
        ),
    })
}

/// `Double.parseDouble`, of decimal numbers: a type suffix is allowed, `NaN` and `Infinity` are
/// written so.
fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.parse().ok();
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust also takes "inf" and "nan" in any case, which Java does not.
    let is_decimal = number
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if is_decimal {
        number.parse().ok()
    } else {
        None
    }
}

/// `Double.toString`.
pub fn java_double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        };
    }
    let with_point = |text: String| {
        if text.contains('.') {
            text
        } else {
            text + ".0"
        }
    };
    if number == 0.0 || (1e-3..1e7).contains(&number.abs()) {
        return with_point(number.to_string());
    }
    let scientific = format!("{number:E}");
    match scientific.split_once('E') {
        Some((digits, exponent)) => format!("{}E{exponent}", with_point(digits.to_owned())),
        None => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_doubles_as_java() {
        for (number, text) in [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (0.0, "0.0"),
            (f64::MAX, "1.7976931348623157E308"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (0.00012, "1.2E-4"),
            (0.001, "0.001"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(java_double(number), text);
        }
    }

    #[test]
    fn reads_doubles_as_java() {
        for (text, number) in [("1", 1.0), ("-1.5e3", -1500.0), (".5", 0.5), ("2d", 2.0)] {
            assert_eq!(parse_double(text), Some(number), "{text}");
        }
        for text in ["inf", "nan", "infinity", "", "d", "1,5", "x"] {
            assert_eq!(parse_double(text), None, "{text}");
        }
        assert!(parse_double("-NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn splits_lists_and_trims_items() {
        let list = |text| parse("k", Kind::List, text).unwrap();
        assert_eq!(
            list(" a ,b,c "),
            Value::List(["a", "b", "c"].map(String::from).to_vec())
        );
        assert_eq!(list(" "), Value::List(vec![]));
        assert_eq!(
            list("a,,"),
            Value::List(["a", "", ""].map(String::from).to_vec())
        );
    }

    #[test]
    fn reads_numbers_within_their_width() {
        assert_eq!(parse("k", Kind::Int, " +5 "), Ok(Value::Int(5)));
        assert_eq!(parse("k", Kind::Short, "-3"), Ok(Value::Short(-3)));
        let error = parse("k", Kind::Int, "2147483648").unwrap_err().to_string();
        assert_eq!(
            error,
            "Invalid value 2147483648 for configuration k: Not a number of type INT"
        );
    }

    #[test]
    fn hides_passwords_in_messages() {
        assert_eq!(Value::Password("x".into()).to_string(), "[hidden]");
    }
}
