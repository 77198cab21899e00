//! JSON that users hand to tools, read with the words of Kafka's parser for what is wrong.
use anyhow::anyhow;
use serde_json::Value;

/// The text of a file.
pub fn read_file(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|_| anyhow!("Unable to read file {path}"))
}

/// A field that must be there.
pub fn field<'a>(object: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let fields = object
        .as_object()
        .ok_or_else(|| anyhow!("Expected JSON object, received {object}"))?;
    fields
        .get(name)
        .ok_or_else(|| anyhow!("No such field exists: `{name}`"))
}

pub fn array(value: &Value) -> anyhow::Result<&Vec<Value>> {
    value
        .as_array()
        .ok_or_else(|| anyhow!("Expected JSON array, received {value}"))
}

pub fn text<'a>(object: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    let value = field(object, name)?;
    value
        .as_str()
        .ok_or_else(|| anyhow!("Expected `String` value, received {value}"))
}

pub fn long(object: &Value, name: &str) -> anyhow::Result<i64> {
    let value = field(object, name)?;
    value
        .as_i64()
        .ok_or_else(|| anyhow!("Expected `Long` value, received {value}"))
}

pub fn int(object: &Value, name: &str) -> anyhow::Result<i32> {
    let value = field(object, name)?;
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| anyhow!("Expected `Integer` value, received {value}"))
}

/// The `version` of the file; 1 where it has none.
pub fn version(object: &Value) -> anyhow::Result<i32> {
    match object.get("version") {
        Some(_) => int(object, "version"),
        None => Ok(1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let object = json!({"topic": "t", "partition": "0"});
        assert_eq!(text(&object, "topic").unwrap(), "t");
        for (error, want) in [
            (
                int(&object, "offset").unwrap_err(),
                "No such field exists: `offset`",
            ),
            (
                int(&object, "partition").unwrap_err(),
                "Expected `Integer` value, received \"0\"",
            ),
            (
                field(&json!([]), "x").map(|_| ()).unwrap_err(),
                "Expected JSON object, received []",
            ),
        ] {
            assert_eq!(error.to_string(), want);
        }
    }
}
