//! Connect schemas as JsonConverter writes them: `{"type":"int32","optional":false,…}`.
use std::sync::Arc;

use serde_json::Value as Json;

use super::json::JsonSettings;
use super::json_text::write_string;
use super::{json_read, json_write};
use crate::connect::data::{Field, Schema, Type};
use crate::connect::errors::{ConnectError, Result};

fn type_name(of: &Type) -> &'static str {
    match of {
        Type::Int8 => "int8",
        Type::Int16 => "int16",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float32 => "float",
        Type::Float64 => "double",
        Type::Boolean => "boolean",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Array(_) => "array",
        Type::Map(..) => "map",
        Type::Struct(_) => "struct",
    }
}

/// Writes a schema; `field` is its name inside of a struct.
pub fn write(
    out: &mut Vec<u8>,
    schema: &Schema,
    field: Option<&str>,
    settings: JsonSettings,
) -> Result<()> {
    out.extend(b"{\"type\":");
    write_string(out, type_name(&schema.of));
    match &schema.of {
        Type::Array(items) => {
            out.extend(b",\"items\":");
            write(out, items, None, settings)?;
        }
        Type::Map(keys, values) => {
            out.extend(b",\"keys\":");
            write(out, keys, None, settings)?;
            out.extend(b",\"values\":");
            write(out, values, None, settings)?;
        }
        Type::Struct(fields) => {
            out.extend(b",\"fields\":[");
            for (at, field) in fields.iter().enumerate() {
                out.extend(if at == 0 { &b""[..] } else { b"," });
                write(out, &field.schema, Some(&field.name), settings)?;
            }
            out.push(b']');
        }
        _ => {}
    }
    out.extend(if schema.optional {
        &b",\"optional\":true"[..]
    } else {
        b",\"optional\":false"
    });
    let mut text = |key: &str, value: &str| {
        out.extend(b",\"");
        out.extend(key.as_bytes());
        out.extend(b"\":");
        write_string(out, value);
    };
    if let Some(name) = &schema.name {
        text("name", name);
    }
    if let Some(version) = schema.version {
        out.extend(format!(",\"version\":{version}").into_bytes());
    }
    if let Some(doc) = &schema.doc {
        out.extend(b",\"doc\":");
        write_string(out, doc);
    }
    if !schema.parameters.is_empty() {
        out.extend(b",\"parameters\":{");
        for (at, (key, value)) in schema.parameters.iter().enumerate() {
            out.extend(if at == 0 { &b""[..] } else { b"," });
            write_string(out, key);
            out.push(b':');
            write_string(out, value);
        }
        out.push(b'}');
    }
    if let Some(default) = &schema.default {
        out.extend(b",\"default\":");
        json_write::value(out, Some(schema), default, settings)?;
    }
    if let Some(field) = field {
        out.extend(b",\"field\":");
        write_string(out, field);
    }
    out.push(b'}');
    Ok(())
}

/// Reads a schema; `null` is none.
pub fn parse(json: &Json, settings: JsonSettings) -> Result<Option<Arc<Schema>>> {
    if json.is_null() {
        return Ok(None);
    }
    let kind = json.get("type").and_then(Json::as_str);
    let kind = kind.ok_or_else(|| ConnectError::data("Schema must contain 'type' field"))?;
    let part = |key: &str, missing: &str| -> Result<Arc<Schema>> {
        let found = json
            .get(key)
            .map(|part| parse(part, settings))
            .transpose()?;
        found.flatten().ok_or_else(|| ConnectError::data(missing))
    };
    let of = match kind {
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "float" => Type::Float32,
        "double" => Type::Float64,
        "boolean" => Type::Boolean,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "array" => Type::Array(part(
            "items",
            "Array schema did not specify the element type",
        )?),
        "map" => Type::Map(
            part("keys", "Map schema did not specify the key type")?,
            part("values", "Map schema did not specify the value type")?,
        ),
        "struct" => Type::Struct(fields(json, settings)?),
        other => return Err(ConnectError::data(format!("Unknown schema type: {other}"))),
    };
    let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let mut schema = Schema::required(of);
    schema.optional = json
        .get("optional")
        .and_then(Json::as_bool)
        .unwrap_or(false);
    schema.name = text("name");
    schema.doc = text("doc");
    let version = json.get("version").and_then(Json::as_i64);
    schema.version = version.map(|version| version as i32);
    if let Some(parameters) = json.get("parameters").and_then(Json::as_object) {
        for (key, value) in parameters {
            let value = value
                .as_str()
                .ok_or_else(|| ConnectError::data("Schema parameters must have string values."))?;
            schema.parameters.push((key.clone(), value.to_owned()));
        }
    }
    let default = json
        .get("default")
        .filter(|default| !default.is_null())
        .cloned();
    if default.is_some() {
        let bare = Arc::new(schema.clone());
        schema.default = Some(json_read::value(Some(&bare), default, settings)?);
    }
    Ok(Some(Arc::new(schema)))
}

fn fields(json: &Json, settings: JsonSettings) -> Result<Vec<Field>> {
    let list = json.get("fields").and_then(Json::as_array).ok_or_else(|| {
        ConnectError::data("Struct schema's \"fields\" argument is not an array.")
    })?;
    let field = |json: &Json| -> Result<Field> {
        let name = json.get("field").and_then(Json::as_str).ok_or_else(|| {
            ConnectError::data("Struct schema's field name not specified properly")
        })?;
        let schema = parse(json, settings)?
            .ok_or_else(|| ConnectError::data("Schema must contain 'type' field"))?;
        Ok(Field {
            name: name.to_owned(),
            schema,
        })
    };
    list.iter().map(field).collect()
}
