//! Connect's data model: schemas, and values that borrow from the record they came in.
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::decimal::Decimal;

/// Names of the schemas whose values are more than their bytes or numbers.
pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
pub const DATE: &str = "org.apache.kafka.connect.data.Date";
pub const TIME: &str = "org.apache.kafka.connect.data.Time";
pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// What a value is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    Array(Arc<Schema>),
    Map(Arc<Schema>, Arc<Schema>),
    Struct(Vec<Field>),
}

impl Type {
    /// As `Schema.Type` in Java prints.
    pub fn name(&self) -> &'static str {
        match self {
            Type::Int8 => "INT8",
            Type::Int16 => "INT16",
            Type::Int32 => "INT32",
            Type::Int64 => "INT64",
            Type::Float32 => "FLOAT32",
            Type::Float64 => "FLOAT64",
            Type::Boolean => "BOOLEAN",
            Type::String => "STRING",
            Type::Bytes => "BYTES",
            Type::Array(_) => "ARRAY",
            Type::Map(..) => "MAP",
            Type::Struct(_) => "STRUCT",
        }
    }
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub schema: Arc<Schema>,
}

/// A schema, as `org.apache.kafka.connect.data.Schema`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    pub of: Type,
    pub optional: bool,
    pub name: Option<String>,
    pub version: Option<i32>,
    pub doc: Option<String>,
    pub parameters: Vec<(String, String)>,
    pub default: Option<Value<'static>>,
}

impl Schema {
    /// A required value of this type, without a name or anything else.
    pub const fn required(of: Type) -> Self {
        Self {
            of,
            optional: false,
            name: None,
            version: None,
            doc: None,
            parameters: Vec::new(),
            default: None,
        }
    }

    pub const fn optional(of: Type) -> Self {
        let mut schema = Self::required(of);
        schema.optional = true;
        schema
    }

    pub fn fields(&self) -> &[Field] {
        match &self.of {
            Type::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// The scale of a Decimal schema.
    pub fn scale(&self) -> Option<i32> {
        let (_, scale) = self.parameters.iter().find(|(key, _)| key == "scale")?;
        scale.parse().ok()
    }
}

/// The schema of a line of text.
pub const STRING: &Schema = &Schema::required(Type::String);
/// The schema of text that a converter reads, which may be missing.
pub const OPTIONAL_STRING: &Schema = &Schema::optional(Type::String);
pub const OPTIONAL_BYTES: &Schema = &Schema::optional(Type::Bytes);

/// A value, with or without a schema. Dates and times are UTC.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Null,
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    Boolean(bool),
    String(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Array(Vec<Value<'a>>),
    /// In the order in which they came.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// The values of the schema's fields, in their order.
    Struct(Arc<Schema>, Vec<Value<'a>>),
    Decimal(Decimal),
    /// Days since 1970.
    Date(i32),
    /// Milliseconds of the day.
    Time(i32),
    /// Milliseconds since 1970.
    Timestamp(i64),
}

impl<'a> Value<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::String(text.into())
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Int8(n) => Value::Int8(n),
            Value::Int16(n) => Value::Int16(n),
            Value::Int32(n) => Value::Int32(n),
            Value::Int64(n) => Value::Int64(n),
            Value::Float32(n) => Value::Float32(n),
            Value::Float64(n) => Value::Float64(n),
            Value::Boolean(yes) => Value::Boolean(yes),
            Value::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.into_owned(), value.into_owned()))
                    .collect(),
            ),
            Value::Struct(schema, values) => {
                Value::Struct(schema, values.into_iter().map(Value::into_owned).collect())
            }
            Value::Decimal(number) => Value::Decimal(number),
            Value::Date(days) => Value::Date(days),
            Value::Time(ms) => Value::Time(ms),
            Value::Timestamp(ms) => Value::Timestamp(ms),
        }
    }

    /// The Java class that holds such a value, for messages.
    pub fn java_class(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Int8(_) => "java.lang.Byte",
            Value::Int16(_) => "java.lang.Short",
            Value::Int32(_) => "java.lang.Integer",
            Value::Int64(_) => "java.lang.Long",
            Value::Float32(_) => "java.lang.Float",
            Value::Float64(_) => "java.lang.Double",
            Value::Boolean(_) => "java.lang.Boolean",
            Value::String(_) => "java.lang.String",
            Value::Bytes(_) => "byte[]",
            Value::Array(_) => "java.util.ArrayList",
            Value::Map(_) => "java.util.HashMap",
            Value::Struct(..) => "org.apache.kafka.connect.data.Struct",
            Value::Decimal(_) => "java.math.BigDecimal",
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => "java.util.Date",
        }
    }
}

impl fmt::Display for Value<'_> {
    /// As Java's `String.valueOf`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::java_text::write(f, self)
    }
}

/// The schema of a value that came out of a converter.
#[derive(Debug, Clone, PartialEq)]
pub enum SchemaRef {
    /// Known by heart.
    Static(&'static Schema),
    Shared(Arc<Schema>),
}

impl SchemaRef {
    pub fn get(&self) -> &Schema {
        match self {
            SchemaRef::Static(schema) => schema,
            SchemaRef::Shared(schema) => schema,
        }
    }
}

/// A value with its schema, if it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaAndValue<'a> {
    pub schema: Option<SchemaRef>,
    pub value: Value<'a>,
}

impl<'a> SchemaAndValue<'a> {
    /// Neither a schema nor a value: a tombstone, or a key that is not there.
    pub const NULL: SchemaAndValue<'static> = SchemaAndValue {
        schema: None,
        value: Value::Null,
    };

    pub fn new(schema: &'static Schema, value: Value<'a>) -> Self {
        Self {
            schema: Some(SchemaRef::Static(schema)),
            value,
        }
    }

    pub fn schemaless(value: Value<'a>) -> Self {
        Self {
            schema: None,
            value,
        }
    }

    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref().map(SchemaRef::get)
    }
}
