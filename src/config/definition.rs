//! What a configuration key is: name, kind, default, valid values, scope, and whether kafkars acts
//! on it. The tables of this room are written in these terms; validation, DescribeConfigs and the
//! tools read them.
use super::Properties;
use super::value::{self, Value};
use std::collections::BTreeMap;

pub use super::validator::{Bound, ConfigError, Validator};

/// The type of a value. The names are those that Kafka shows to users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }

    /// The `ConfigType` of a DescribeConfigs response.
    pub fn code(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// The key must be set.
    Required,
    /// Not set and no value: Java's null.
    Null,
    Value(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

impl Importance {
    pub fn name(self) -> &'static str {
        match self {
            Importance::High => "HIGH",
            Importance::Medium => "MEDIUM",
            Importance::Low => "LOW",
        }
    }
}

/// Whether and for whom a broker key can change while the broker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateMode {
    ReadOnly,
    PerBroker,
    ClusterWide,
}

impl UpdateMode {
    pub fn name(self) -> &'static str {
        match self {
            UpdateMode::ReadOnly => "read-only",
            UpdateMode::PerBroker => "per-broker",
            UpdateMode::ClusterWide => "cluster-wide",
        }
    }
}

/// What kafkars does about a key that is set away from its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It acts on it.
    Active,
    /// It has the meaning of the key by its nature (a thread pool it does not have), or the key can
    /// change nothing that a user sees: no warning.
    Moot,
    /// It knows the key and warns that it does not act on it yet.
    NotYet,
    /// Going on without it would weaken security or durability or change the node's role, so the
    /// start is refused, for this reason.
    Refused(&'static str),
}

/// One key of a table. Built by the `const` methods below, so that a table reads as a list.
#[derive(Debug, Clone, Copy)]
pub struct ConfigKey {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Default,
    pub validator: Validator,
    pub importance: Importance,
    /// Not shown by DescribeConfigs; for Kafka's own tests.
    pub internal: bool,
    pub update_mode: UpdateMode,
    pub support: Support,
    pub doc: &'static str,
}

/// Why the keys of TLS and SASL are refused.
pub(super) const NO_TLS: &str = "only the PLAINTEXT security protocol is built in yet";
pub(super) const NO_SASL: &str = "SASL is not built in yet";

macro_rules! kinds {
    ($($function:ident $kind:ident),*) => {
        $(pub const fn $function(name: &'static str) -> ConfigKey { ConfigKey::new(name, Kind::$kind) })*
    };
}
kinds!(boolean Boolean, string String, int Int, short Short, long Long, double Double, list List,
       class Class, password Password);

impl ConfigKey {
    /// A key without default (null), constraint or documentation, of medium importance.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            default: Default::Null,
            validator: match kind {
                Kind::List => Validator::Items {
                    valid: &[],
                    empty: true,
                    null: false,
                },
                _ => Validator::Any,
            },
            importance: Importance::Medium,
            internal: false,
            update_mode: UpdateMode::ReadOnly,
            support: Support::NotYet,
            doc: "",
        }
    }
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Default::Value(value);
        self
    }
    pub const fn required(mut self) -> Self {
        self.default = Default::Required;
        self
    }
    pub const fn at_least(self, min: i64) -> Self {
        self.range(Bound::Whole(min), Bound::None)
    }
    pub const fn between(self, min: i64, max: i64) -> Self {
        self.range(Bound::Whole(min), Bound::Whole(max))
    }
    pub const fn range(self, min: Bound, max: Bound) -> Self {
        self.valid(Validator::Range { min, max })
    }
    pub const fn one_of(mut self, valid: &'static [&'static str]) -> Self {
        self.validator = match self.validator {
            Validator::Items { empty, null, .. } => Validator::Items { valid, empty, null },
            _ => Validator::OneOf(valid),
        };
        self
    }
    pub const fn one_of_ignore_case(mut self, valid: &'static [&'static str]) -> Self {
        self.validator = Validator::OneOfIgnoreCase(valid);
        self
    }
    /// Of a list: at least one item.
    pub const fn non_empty_list(mut self) -> Self {
        if let Validator::Items { valid, null, .. } = self.validator {
            self.validator = Validator::Items {
                valid,
                empty: false,
                null,
            };
        }
        self
    }
    /// Of a list: may be left without a value.
    pub const fn nullable_list(mut self) -> Self {
        if let Validator::Items { valid, empty, .. } = self.validator {
            self.validator = Validator::Items {
                valid,
                empty,
                null: true,
            };
        }
        self
    }
    pub const fn any(self) -> Self {
        self.valid(Validator::Any)
    }
    pub const fn non_null(self) -> Self {
        self.valid(Validator::NonNull)
    }
    pub const fn non_empty(self) -> Self {
        self.valid(Validator::NonEmptyString)
    }
    pub const fn valid(mut self, validator: Validator) -> Self {
        self.validator = validator;
        self
    }
    pub const fn high(mut self) -> Self {
        self.importance = Importance::High;
        self
    }
    pub const fn low(mut self) -> Self {
        self.importance = Importance::Low;
        self
    }
    pub const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }
    pub const fn per_broker(mut self) -> Self {
        self.update_mode = UpdateMode::PerBroker;
        self
    }
    pub const fn cluster_wide(mut self) -> Self {
        self.update_mode = UpdateMode::ClusterWide;
        self
    }
    pub const fn active(mut self, doc: &'static str) -> Self {
        self.support = Support::Active;
        self.doc = doc;
        self
    }
    pub const fn moot(mut self) -> Self {
        self.support = Support::Moot;
        self
    }
    pub const fn refused(mut self, reason: &'static str) -> Self {
        self.support = Support::Refused(reason);
        self
    }

    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Parses and checks a value of this key, as `ConfigDef.parse` does.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let value = value::parse(self.name, self.kind, text)?;
        self.validator.check(self.name, &value)?;
        Ok(value)
    }

    /// Whether `value` is what holds without setting the key.
    pub fn is_default(&self, value: &Value) -> bool {
        let ignores_case = matches!(self.validator, Validator::OneOfIgnoreCase(_));
        match (self.default_value(), value) {
            (Ok(Value::String(default)), Value::String(text)) if ignores_case => {
                default.eq_ignore_ascii_case(text)
            }
            (default, value) => default.is_ok_and(|default| default == *value),
        }
    }

    fn default_value(&self) -> Result<Value, ConfigError> {
        match self.default {
            Default::Required => Err(ConfigError::Missing {
                name: self.name.to_owned(),
            }),
            Default::Null => Ok(Value::Null),
            Default::Value(text) => value::parse(self.name, self.kind, text),
        }
    }
}

/// A table of keys, found by name.
#[derive(Debug)]
pub struct ConfigDef {
    keys: BTreeMap<&'static str, &'static ConfigKey>,
}

impl ConfigDef {
    /// Joins tables. A key that stands in two of them is a mistake in the tables.
    pub fn new(tables: &[&'static [ConfigKey]]) -> Self {
        let mut keys = BTreeMap::new();
        for key in tables.iter().copied().flatten() {
            let twice = keys.insert(key.name, key);
            assert!(twice.is_none(), "{} is defined twice", key.name);
        }
        Self { keys }
    }

    pub fn key(&self, name: &str) -> Option<&'static ConfigKey> {
        self.keys.get(name).copied()
    }

    /// By name.
    pub fn keys(&self) -> impl Iterator<Item = &'static ConfigKey> {
        self.keys.values().copied()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Parses what is set, takes defaults for the rest. The first problem by name ends it.
    pub fn parse(&'static self, properties: &Properties) -> Result<Values, ConfigError> {
        let (values, errors) = self.parse_all(properties);
        errors.into_iter().next().map_or(Ok(values), Err)
    }

    /// As [`ConfigDef::parse`], with every problem; a key with a problem holds no value.
    pub fn parse_all(&'static self, properties: &Properties) -> (Values, Vec<ConfigError>) {
        let mut errors = Vec::new();
        let mut values = BTreeMap::new();
        for key in self.keys() {
            let (parsed, origin) = match properties.get(key.name) {
                Some(text) => (key.parse(text), Origin::File),
                None => (key.default_value(), Origin::Default),
            };
            let value = parsed.unwrap_or_else(|error| {
                errors.push(error);
                Value::Null
            });
            values.insert(key.name, (value, origin));
        }
        (Values { def: self, values }, errors)
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Default,
    File,
    /// Set while the broker runs, kept in the metadata log.
    Dynamic,
}

/// Checked values of a table.
///
/// The typed getters panic when the table has no such key of that kind, which is a mistake in the
/// code that asks, never in what a user wrote.
#[derive(Debug, Clone)]
pub struct Values {
    def: &'static ConfigDef,
    values: BTreeMap<&'static str, (Value, Origin)>,
}

macro_rules! getters {
    ($($get:ident $get_option:ident $variant:ident $type:ty => $convert:expr),* $(,)?) => {
        $(
            pub fn $get(&self, name: &str) -> $type {
                self.$get_option(name).unwrap_or_else(|| panic!("{name} has no value"))
            }
            pub fn $get_option(&self, name: &str) -> Option<$type> {
                match self.value(name) {
                    Value::Null => None,
                    Value::$variant(value) => Some($convert(value)),
                    other => panic!("{name} is not {}: {other:?}", stringify!($variant)),
                }
            }
        )*
    };
}

impl Values {
    pub fn value(&self, name: &str) -> &Value {
        match self.values.get(name) {
            Some((value, _)) => value,
            None => panic!("no key {name} in this table"),
        }
    }

    getters!(
        bool bool_option Boolean bool => |v: &bool| *v,
        int int_option Int i32 => |v: &i32| *v,
        short short_option Short i16 => |v: &i16| *v,
        long long_option Long i64 => |v: &i64| *v,
        double double_option Double f64 => |v: &f64| *v,
        string string_option String &str => String::as_str,
        list list_option List &[String] => Vec::as_slice,
        class class_option Class &str => String::as_str,
        password password_option Password &str => String::as_str,
    );

    pub fn origin(&self, name: &str) -> Origin {
        self.values
            .get(name)
            .map_or(Origin::Default, |(_, origin)| *origin)
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.origin(name) != Origin::Default
    }

    pub fn def(&self) -> &'static ConfigDef {
        self.def
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static ConfigKey, &Value, Origin)> {
        self.def
            .keys()
            .zip(self.values.values())
            .map(|(key, (v, origin))| (key, v, *origin))
    }

    /// Sets a value that was checked by the key's own `parse`.
    pub fn set(&mut self, key: &'static ConfigKey, value: Value, origin: Origin) {
        self.values.insert(key.name, (value, origin));
    }

    /// Falls back to the default of a key.
    pub fn reset(&mut self, key: &'static ConfigKey) {
        let value = key.default_value().unwrap_or(Value::Null);
        self.values.insert(key.name, (value, Origin::Default));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static DEF: LazyLock<ConfigDef> = LazyLock::new(|| ConfigDef::new(&[KEYS]));
    const KEYS: &[ConfigKey] = &[
        int("threads").default("3").between(1, 8),
        double("ratio")
            .default("0.5")
            .range(Bound::Whole(0), Bound::Double(0.5)),
        string("mode").default("fast").one_of(&["fast", "safe"]),
        list("dirs").nullable_list().non_empty_list(),
        list("policy")
            .default("delete")
            .one_of(&["compact", "delete"]),
        string("case")
            .default("NONE")
            .one_of_ignore_case(&["NONE", "ALL"]),
        boolean("on").default("true"),
        password("secret"),
        int("id").required(),
    ];

    fn parse(text: &str) -> Result<Values, ConfigError> {
        DEF.parse(&Properties::parse(text).unwrap())
    }

    fn refuses(text: &str, message: &str) {
        assert_eq!(
            parse(&format!("id=1\n{text}")).unwrap_err().to_string(),
            message
        );
    }

    #[test]
    fn takes_what_is_set_and_defaults_for_the_rest() {
        let values = parse("id=7\nthreads= 8 \non=FALSE\ndirs=a , b\ncase=all").unwrap();
        assert_eq!(values.int("id"), 7);
        assert_eq!(values.int("threads"), 8);
        assert!(!values.bool("on"));
        assert_eq!(values.list("dirs"), ["a", "b"]);
        assert_eq!(values.list("policy"), ["delete"]);
        assert_eq!(values.double("ratio"), 0.5);
        assert_eq!(values.password_option("secret"), None);
        assert_eq!(values.origin("threads"), Origin::File);
        assert_eq!(values.origin("ratio"), Origin::Default);
    }

    #[test]
    fn says_what_is_wrong_in_one_line() {
        refuses(
            "threads=x",
            "Invalid value x for configuration threads: Not a number of type INT",
        );
        refuses(
            "threads=0",
            "Invalid value 0 for configuration threads: Value must be at least 1",
        );
        refuses(
            "ratio=0.6",
            "Invalid value 0.6 for configuration ratio: Value must be no more than 0.5",
        );
        refuses(
            "on=yes",
            "Invalid value yes for configuration on: Expected value to be either true or false",
        );
        refuses(
            "mode=slow",
            "Invalid value slow for configuration mode: String must be one of: fast, safe",
        );
        refuses(
            "policy=compact,drop",
            "Invalid value drop for configuration policy: String must be one of: compact, delete",
        );
        refuses(
            "policy=delete,delete",
            "Configuration 'policy' values must not be duplicated.",
        );
        refuses(
            "dirs=",
            "Configuration 'dirs' must not be empty. Valid values include: any non-empty value",
        );
        assert_eq!(
            parse("").unwrap_err().to_string(),
            "Missing required configuration \"id\" which has no default value."
        );
    }

    #[test]
    fn gathers_every_problem() {
        let (_, errors) = DEF.parse_all(&Properties::parse("threads=x\nmode=slow").unwrap());
        assert_eq!(errors.len(), 3);
    }

    #[test]
    #[should_panic(expected = "no key nothing")]
    fn asking_for_an_unknown_key_is_a_mistake() {
        parse("id=1").unwrap().int("nothing");
    }
}
