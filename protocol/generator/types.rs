//! A field's type in Rust: its declaration, its default, and the calls that read and write it.

use crate::definition::Field;
use crate::names;

/// A field with what its message decides about it.
pub struct Type<'a> {
    pub field: &'a Field,
    /// Null is allowed in at least one version.
    pub nullable: bool,
    /// Strings borrow from the frame.
    pub borrowed: bool,
}

pub fn is_struct(field: &Field) -> bool {
    field.base.starts_with(char::is_uppercase)
}

/// The Rust type and the name of the reader's and writer's function of a type of fixed size.
fn scalar(base: &str) -> Option<(&'static str, &'static str)> {
    Some(match base {
        "bool" => ("bool", "bool"),
        "int8" => ("i8", "i8"),
        "int16" => ("i16", "i16"),
        "int32" => ("i32", "i32"),
        "int64" => ("i64", "i64"),
        "uint16" => ("u16", "u16"),
        "uint32" => ("u32", "u32"),
        "float64" => ("f64", "f64"),
        "uuid" => ("Uuid", "uuid"),
        _ => return None,
    })
}

impl Type<'_> {
    fn base(&self) -> Result<&str, String> {
        Ok(match self.field.base.as_str() {
            "string" if self.borrowed => "Str",
            "string" => "String",
            "bytes" => "Bytes",
            "records" => "Records",
            base if is_struct(self.field) => base,
            base => scalar(base).ok_or(format!("unknown type {base}"))?.0,
        })
    }

    pub fn rust(&self) -> Result<String, String> {
        let mut rust = self.base()?.to_owned();
        if self.field.array {
            rust = format!("Vec<{rust}>");
        }
        if self.nullable {
            rust = format!("Option<{rust}>");
        }
        Ok(rust)
    }

    fn is_scalar(&self) -> bool {
        !self.field.array && scalar(&self.field.base).is_some()
    }

    /// Whether the default is what `derive(Default)` gives.
    pub fn default_is_zero(&self) -> bool {
        self.default_value().is_ok_and(|value| {
            matches!(
                value.as_str(),
                "0" | "0.0" | "false" | "None" | "Default::default()"
            )
        })
    }

    /// As Kafka has it, a nullable field is empty by default, not null, unless its definition says
    /// so. Records are the exception.
    pub fn default_value(&self) -> Result<String, String> {
        let given = self.field.default.as_deref();
        let records = self.field.base == "records";
        if self.nullable {
            let null = given == Some("null") || records;
            return Ok(if null {
                "None"
            } else {
                "Some(Default::default())"
            }
            .to_owned());
        }
        Ok(match (given, self.field.base.as_str()) {
            (None, "uuid" | "string" | "bytes" | "records") => "Default::default()".to_owned(),
            _ if self.field.array || is_struct(self.field) => "Default::default()".to_owned(),
            (Some("\"\""), "string") => "Default::default()".to_owned(),
            (Some(text), "string") => format!("{text}.into()"),
            (None, "bool") => "false".to_owned(),
            (None, "float64") => "0.0".to_owned(),
            (None, _) => "0".to_owned(),
            (Some(value), _) => value.to_owned(),
        })
    }

    /// An expression that tells whether the field has its default.
    pub fn is_default(&self) -> Result<String, String> {
        let value = self.default_value()?;
        let this = format!("self.{}", names::field(&self.field.name));
        let sized = self.field.array || matches!(&*self.field.base, "string" | "bytes" | "records");
        Ok(match value.as_str() {
            "None" => format!("{this}.is_none()"),
            "Some(Default::default())" if sized => {
                format!("{this}.as_ref().is_some_and(|value| value.is_empty())")
            }
            "Default::default()" if sized => format!("{this}.is_empty()"),
            "false" => format!("!{this}"),
            "true" => this,
            _ => format!("{this} == {value}"),
        })
    }

    /// The call that reads the field from `r`.
    pub fn read(&self, flexible: &str) -> Result<String, String> {
        let or_null = if self.nullable { "_or_null" } else { "" };
        Ok(match self.field.base.as_str() {
            _ if self.field.array => format!("r.array{or_null}(version, {flexible})?"),
            base @ ("string" | "bytes" | "records") => format!("r.{base}{or_null}({flexible})?"),
            _ if is_struct(self.field) && self.nullable => match self.field.tag {
                None => "r.struct_or_null(version)?".to_owned(),
                Some(_) => "r.tagged_struct_or_null(version)?".to_owned(),
            },
            base if is_struct(self.field) => format!("{base}::read(r, version)?"),
            base => format!(
                "r.{}()?",
                scalar(base).ok_or(format!("unknown type {base}"))?.1
            ),
        })
    }

    /// The statement that writes the field to `w`.
    pub fn write(&self, flexible: &str) -> Result<String, String> {
        let this = format!("self.{}", names::field(&self.field.name));
        let base = self.field.base.as_str();
        if self.is_scalar() {
            let (_, name) = scalar(base).ok_or(format!("unknown type {base}"))?;
            return Ok(format!("w.{name}({this});"));
        }
        Ok(match (base, self.field.array, self.nullable) {
            (_, true, true) => format!("w.array_or_null({this}.as_deref(), version, {flexible})?;"),
            (_, true, false) => format!("w.array(&{this}, version, {flexible})?;"),
            ("string", _, true) => format!("w.string_or_null({this}.as_deref(), {flexible})?;"),
            ("string", ..) => format!("w.string(&{this}, {flexible})?;"),
            ("bytes" | "records", _, true) => {
                format!("w.{base}_or_null({this}.as_ref(), {flexible})?;")
            }
            ("bytes" | "records", ..) => format!("w.{base}(&{this}, {flexible})?;"),
            (_, _, true) => match self.field.tag {
                None => format!("w.struct_or_null({this}.as_ref(), version)?;"),
                Some(_) => format!("w.tagged_struct_or_null({this}.as_ref(), version)?;"),
            },
            _ => format!("{this}.write(w, version)?;"),
        })
    }
}
