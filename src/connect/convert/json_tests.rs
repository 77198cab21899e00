//! The table of what Kafka's JsonConverter writes and reads, as observed.
use super::*;
use crate::connect::data::{DATE, DECIMAL, Field, OPTIONAL_STRING, TIMESTAMP, Type};
use crate::connect::decimal::Decimal;

fn converter(settings: &str) -> JsonConverter {
    JsonConverter::new(Role::Value, &Properties::parse(settings).unwrap()).unwrap()
}

fn named(of: Type, name: &str) -> Schema {
    Schema {
        name: Some(name.into()),
        version: Some(1),
        ..Schema::required(of)
    }
}

fn shared(of: Type) -> Arc<Schema> {
    Arc::new(Schema::required(of))
}

fn decimal_schema() -> Schema {
    Schema {
        parameters: vec![("scale".into(), "2".into())],
        ..named(Type::Bytes, DECIMAL)
    }
}

fn struct_schema() -> Arc<Schema> {
    let a = Schema {
        doc: Some("da".into()),
        default: Some(Value::Int32(7)),
        ..Schema::optional(Type::Int32)
    };
    let field = |name: &str, schema| Field {
        name: name.into(),
        schema: Arc::new(schema),
    };
    let fields = vec![field("a", a), field("b", Schema::required(Type::String))];
    Arc::new(Schema {
        name: Some("n.S".into()),
        version: Some(2),
        doc: Some("d".into()),
        parameters: vec![("p".into(), "q".into())],
        ..Schema::required(Type::Struct(fields))
    })
}

/// Writes and reads back.
#[track_caller]
fn check(schema: &Schema, value: Value<'static>, schema_json: &str, payload: &str) {
    let mut converter = converter("");
    let mut out = Vec::new();
    assert!(converter.write(Some(schema), &value, &mut out).unwrap());
    let expected = format!("{{\"schema\":{schema_json},\"payload\":{payload}}}");
    assert_eq!(String::from_utf8_lossy(&out), expected);
    let back = converter.read(Some(&out)).unwrap();
    assert_eq!(back.schema(), Some(schema));
    assert_eq!(back.value, value);
}

#[test]
fn every_type_goes_out_as_kafka_writes_it_and_comes_back() {
    let plain = |name: &str| format!("{{\"type\":\"{name}\",\"optional\":false}}");
    for (of, value, name, payload) in [
        (Type::Boolean, Value::Boolean(true), "boolean", "true"),
        (Type::Int8, Value::Int8(-4), "int8", "-4"),
        (Type::Int16, Value::Int16(4), "int16", "4"),
        (Type::Int32, Value::Int32(4), "int32", "4"),
        (
            Type::Int64,
            Value::Int64(i64::MIN),
            "int64",
            "-9223372036854775808",
        ),
        (Type::Float32, Value::Float32(1.1), "float", "1.1"),
        (Type::Float64, Value::Float64(1e20), "double", "1.0E20"),
        (
            Type::String,
            Value::text("q\"é😀"),
            "string",
            "\"q\\\"é\\uD83D\\uDE00\"",
        ),
        (
            Type::Bytes,
            Value::Bytes(b"foo!"[..].into()),
            "bytes",
            "\"Zm9vIQ==\"",
        ),
    ] {
        check(&Schema::required(of), value, &plain(name), payload);
    }
    let array = Schema::required(Type::Array(shared(Type::Int32)));
    check(
        &array,
        Value::Array(vec![Value::Int32(1), Value::Int32(2)]),
        r#"{"type":"array","items":{"type":"int32","optional":false},"optional":false}"#,
        "[1,2]",
    );
    let map = Schema::required(Type::Map(shared(Type::String), shared(Type::Int32)));
    check(
        &map,
        Value::Map(vec![(Value::text("k"), Value::Int32(1))]),
        concat!(
            r#"{"type":"map","keys":{"type":"string","optional":false},"values":{"type":"int32","#,
            r#""optional":false},"optional":false}"#,
        ),
        r#"{"k":1}"#,
    );
    let map = Schema::required(Type::Map(shared(Type::Int32), shared(Type::String)));
    check(
        &map,
        Value::Map(vec![(Value::Int32(1), Value::text("v"))]),
        concat!(
            r#"{"type":"map","keys":{"type":"int32","optional":false},"values":{"type":"string","#,
            r#""optional":false},"optional":false}"#,
        ),
        r#"[[1,"v"]]"#,
    );
    check(
        OPTIONAL_STRING,
        Value::Null,
        r#"{"type":"string","optional":true}"#,
        "null",
    );
}

#[test]
fn structs_and_logical_types() {
    let schema = struct_schema();
    check(
        &schema,
        Value::Struct(schema.clone(), vec![Value::Int32(1), Value::text("x")]),
        concat!(
            r#"{"type":"struct","fields":[{"type":"int32","optional":true,"doc":"da","default":7,"#,
            r#""field":"a"},{"type":"string","optional":false,"field":"b"}],"optional":false,"#,
            r#""name":"n.S","version":2,"doc":"d","parameters":{"p":"q"}}"#,
        ),
        r#"{"a":1,"b":"x"}"#,
    );
    for (number, payload) in [("123.45", "\"MDk=\""), ("-1.00", "\"nA==\"")] {
        check(
            &decimal_schema(),
            Value::Decimal(Decimal::parse(number).unwrap()),
            concat!(
                r#"{"type":"bytes","optional":false,"#,
                r#""name":"org.apache.kafka.connect.data.Decimal","version":1,"#,
                r#""parameters":{"scale":"2"}}"#,
            ),
            payload,
        );
    }
    check(
        &named(Type::Int32, DATE),
        Value::Date(3),
        concat!(
            r#"{"type":"int32","optional":false,"name":"org.apache.kafka.connect.data.Date","#,
            r#""version":1}"#,
        ),
        "3",
    );
    check(
        &named(Type::Int64, TIMESTAMP),
        Value::Timestamp(86_400_000),
        concat!(
            r#"{"type":"int64","optional":false,"name":"org.apache.kafka.connect.data.Timestamp","#,
            r#""version":1}"#,
        ),
        "86400000",
    );
}

#[track_caller]
fn writes(settings: &str, schema: Option<&Schema>, value: &Value<'_>, expected: &str) {
    let mut out = Vec::new();
    let mut converter = converter(settings);
    let text = match converter.write(schema, value, &mut out) {
        Ok(true) => String::from_utf8(out).unwrap(),
        Ok(false) => "no bytes".into(),
        Err(error) => error.to_string(),
    };
    assert_eq!(text, expected);
}

#[test]
fn what_settings_and_nulls_do() {
    let schema = struct_schema();
    let value = Value::Struct(schema.clone(), vec![Value::Null, Value::text("x")]);
    let bare = "schemas.enable=false\n";
    writes(bare, Some(&schema), &value, r#"{"a":7,"b":"x"}"#);
    let keep = "schemas.enable=false\nreplace.null.with.default=false";
    writes(keep, Some(&schema), &value, r#"{"a":null,"b":"x"}"#);
    writes("", None, &Value::Null, "no bytes");
    writes(bare, None, &Value::Null, "no bytes");
    writes("", None, &Value::Int64(1), r#"{"schema":null,"payload":1}"#);
    writes(bare, None, &Value::Float64(f64::NAN), "\"NaN\"");
    writes(
        bare,
        None,
        &Value::Float32(f32::NEG_INFINITY),
        "\"-Infinity\"",
    );
    let decimal = Value::Decimal(Decimal::parse("123.45").unwrap());
    let numeric = "schemas.enable=false\ndecimal.format=numeric";
    writes(numeric, Some(&decimal_schema()), &decimal, "123.45");
    writes(
        bare,
        Some(STRING),
        &Value::Int32(1),
        "Invalid type for STRING: java.lang.Integer",
    );
    let null = "Conversion error: null value for field that is required and has no default value";
    writes(bare, Some(STRING), &Value::Null, null);
}

#[track_caller]
fn reads(settings: &str, json: &str, expected: &str) {
    let text = match converter(settings).read(Some(json.as_bytes())) {
        Ok(read) => read.value.to_string(),
        Err(error) => error.to_string(),
    };
    assert!(text.starts_with(expected), "{json}: {text}");
}

#[test]
fn reading_is_as_lenient_as_kafkas() {
    let typed = |kind: &str, payload: &str| {
        format!("{{\"schema\":{{\"type\":\"{kind}\"}},\"payload\":{payload}}}")
    };
    for (kind, payload, expected) in [
        ("int8", "300", "44"),
        ("int32", "\"x\"", "0"),
        ("int64", "1.9", "1"),
        ("string", "5", "null"),
        ("boolean", "1", "false"),
        ("double", "1", "1.0"),
        (
            "string",
            "null",
            "Invalid null value for required STRING field",
        ),
        ("bytes", "\"?\"", "Invalid bytes field"),
        ("uuid", "1", "Unknown schema type: uuid"),
        (
            "array",
            "[]",
            "Array schema did not specify the element type",
        ),
    ] {
        reads("", &typed(kind, payload), expected);
    }
    for (json, expected) in [
        ("", "null"),
        ("null", "null"),
        ("7 and more", "7"),
        ("18446744073709551617", "1"),
        ("-18446744073709551617", "-1"),
        ("1.5e3", "1500.0"),
        ("[1,\"a\",true]", "[1, a, true]"),
        ("{\"k\":{\"n\":null}}", "{k={n=null}}"),
        (
            "{",
            "Converting byte[] to Kafka Connect data failed due to serialization error: ",
        ),
    ] {
        reads("schemas.enable=false", json, expected);
    }
    for json in [
        "{\"a\":1}",
        "1",
        "{\"schema\":null,\"payload\":1,\"x\":2}",
        "",
    ] {
        let expected = if json.is_empty() {
            "Converting byte[]"
        } else {
            "JsonConverter with sch"
        };
        reads("", json, expected);
    }
    reads("schema.content={\"type\":\"int32\"}", "5", "5");
    assert_eq!(converter("").read(None).unwrap(), SchemaAndValue::NULL);
}

#[test]
fn the_short_way_for_strings_gives_what_the_parser_gives() {
    for payload in [
        "\"plain é\"",
        "\"\"",
        "\"a\\\"b\\\\\"",
        "\"\\uD83D\\uDE00 \\u00e9\\n\"",
        "\"a\",\"x\":\"b\"",
        "\"bad \\x\"",
        "\"lone \\uD83D\"",
        "\"trailing \\\"",
        "\"\\\\\",\"payload\":\"again\"",
    ] {
        let short = format!(
            "{}{payload}}}",
            r#"{"schema":{"type":"string","optional":false},"payload":"#
        );
        // A blank in front: the same JSON, but not the exact bytes that the short way knows.
        let long = short.replacen('{', "{ ", 1);
        let read = |json: &str| match converter("").read(Some(json.as_bytes())) {
            Ok(read) => Ok(read.value.to_string()),
            Err(error) => Err(error.to_string().chars().take(60).collect::<String>()),
        };
        assert_eq!(read(&short), read(&long), "{payload}");
    }
}

#[test]
fn bad_settings_are_named() {
    for (settings, error) in [
        (
            "schemas.enable=yes",
            "Invalid value yes for configuration value.converter.schemas.enable",
        ),
        (
            "decimal.format=HEX",
            "value.converter.decimal.format: HEX is neither",
        ),
        ("schema.content={", "value.converter.schema.content: "),
    ] {
        let settings = Properties::parse(settings).unwrap();
        let text = JsonConverter::new(Role::Value, &settings)
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(text.starts_with(error), "{text}");
    }
}
