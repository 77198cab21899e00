//! Writes the Rust of one message: its structs, their defaults, and how they are read and written.

use std::fmt::Write;

use crate::definition::{Definition, Field, Kind, Versions};
use crate::names;
use crate::types::{self, Type};

/// A struct to write out: the message itself or a part of it.
struct Struct {
    name: String,
    fields: Vec<Field>,
}

/// What all structs of one message share.
struct Context<'a> {
    message: &'a Definition,
    /// The versions that can be on the wire: those of the definition without an unstable last one.
    versions: (i16, i16),
    /// Records that are stored are also written back, so nothing in them may get lost.
    keeps_unknown_tags: bool,
}

/// The module of one message.
pub fn module(message: &Definition, versions: (i16, i16)) -> Result<String, String> {
    let keeps_unknown_tags = is_stored(message.kind) && !message.flexible.is_none();
    let context = Context {
        message,
        versions,
        keeps_unknown_tags,
    };
    let mut structs = Vec::new();
    collect(&message.name, &message.fields, &context, &mut structs)?;
    for (name, fields) in &message.structs {
        collect(name, fields, &context, &mut structs)?;
    }
    let mut out = String::new();
    let (low, high) = versions;
    let _ = writeln!(
        out,
        "/// {} {}, versions {low} to {high}.",
        word(message.kind),
        message.name
    );
    let _ = writeln!(out, "pub mod {} {{", names::snake(&message.name));
    out.push_str("use super::prelude::*;\n");
    for part in &structs {
        declaration(&mut out, part, &context)?;
        defaults(&mut out, part, &context)?;
        codec(&mut out, part, &context)?;
        if is_stored(message.kind) {
            json(&mut out, part, &context)?;
        }
    }
    message_impl(&mut out, &context);
    out.push_str("}\n");
    Ok(out)
}

/// Whether messages of the kind are stored, by Kafka or by its clients: not what goes over the wire
/// and is gone.
pub fn is_stored(kind: Kind) -> bool {
    !matches!(kind, Kind::Request | Kind::Response | Kind::Header)
}

/// The struct `name` and those that its fields declare, in the order of their appearance.
fn collect(
    name: &str,
    fields: &[Field],
    context: &Context,
    structs: &mut Vec<Struct>,
) -> Result<(), String> {
    if structs.iter().any(|other| other.name == name) {
        return Err(format!("{name} is declared twice"));
    }
    let (low, high) = context.versions;
    let live = |field: &&Field| {
        !field
            .versions
            .intersect(Versions(Some((low, high))))
            .is_none()
    };
    let live: Vec<Field> = fields.iter().filter(live).cloned().collect();
    structs.push(Struct {
        name: name.to_owned(),
        fields: live.clone(),
    });
    for field in &live {
        if let Some(inner) = &field.fields {
            collect(&field.base, inner, context, structs)?;
        }
    }
    Ok(())
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "Request",
        Kind::Response => "Response",
        Kind::Header => "Header",
        Kind::Data => "Data",
        Kind::Metadata => "Metadata record",
        Kind::CoordinatorKey => "Key of the record",
        Kind::CoordinatorValue => "Value of the record",
    }
}

impl Context<'_> {
    /// The condition on `version` under which `versions` hold; `None` if they always do.
    fn condition(&self, versions: Versions) -> Option<String> {
        let (low, high) = self.versions;
        match versions.intersect(Versions(Some((low, high)))).0 {
            None => Some("false".to_owned()),
            Some((from, to)) if from == low && to == high => None,
            Some((from, to)) if to == high => Some(format!("version >= {from}")),
            Some((from, to)) if from == low => Some(format!("version <= {to}")),
            Some((from, to)) => Some(format!("({from}..={to}).contains(&version)")),
        }
    }

    fn flexible(&self) -> String {
        self.condition(self.message.flexible)
            .unwrap_or_else(|| "true".to_owned())
    }

    fn typed<'f>(&self, field: &'f Field) -> Type<'f> {
        let (low, high) = self.versions;
        let versions = field.versions.intersect(Versions(Some((low, high))));
        let nullable = field.nullable.intersect(versions);
        Type {
            field,
            nullable: !nullable.is_none(),
            borrowed: self.message.strings_borrowed,
        }
    }

    /// The condition under which null is allowed, if it is allowed in some versions of the field
    /// only.
    fn null_condition(&self, field: &Field) -> Option<String> {
        let (low, high) = self.versions;
        let versions = field.versions.intersect(Versions(Some((low, high))));
        let partly = self.typed(field).nullable && !field.nullable.covers(versions);
        partly.then(|| self.condition(field.nullable)).flatten()
    }
}

fn declaration(out: &mut String, part: &Struct, context: &Context) -> Result<(), String> {
    let all_zero = part
        .fields
        .iter()
        .all(|field| context.typed(field).default_is_zero());
    let derived = if all_zero { ", Default" } else { "" };
    let _ = writeln!(out, "\n#[derive(Clone, Debug, PartialEq{derived})]");
    let _ = writeln!(out, "pub struct {} {{", part.name);
    for field in &part.fields {
        let _ = writeln!(out, "    /// {}.", summary(field));
        let _ = writeln!(
            out,
            "    pub {}: {},",
            names::field(&field.name),
            context.typed(field).rust()?
        );
    }
    if context.keeps_unknown_tags {
        out.push_str("    /// Tagged fields of later releases, kept for rewriting.\n");
        out.push_str("    pub unknown_tags: Vec<UnknownTag>,\n");
    }
    out.push_str("}\n");
    Ok(())
}

/// In which versions the field is there, and what else its definition says, in words.
fn summary(field: &Field) -> String {
    let spell = |versions: Versions| match versions.0 {
        None => "no version".to_owned(),
        Some((low, i16::MAX)) => format!("{low}+"),
        Some((low, high)) if low == high => format!("{low}"),
        Some((low, high)) => format!("{low}-{high}"),
    };
    let mut text = format!("Versions {}", spell(field.versions));
    if let Some((tag, _)) = field.tag {
        let _ = write!(text, ", tag {tag}");
    }
    if !field.nullable.is_none() && field.nullable != field.versions {
        let _ = write!(text, ", nullable in {}", spell(field.nullable));
    }
    if let Some(default) = &field.default {
        let _ = write!(text, ", default {default}");
    }
    if field.ignorable {
        text.push_str(", ignorable");
    }
    text
}

fn defaults(out: &mut String, part: &Struct, context: &Context) -> Result<(), String> {
    if part
        .fields
        .iter()
        .all(|field| context.typed(field).default_is_zero())
    {
        return Ok(());
    }
    let _ = writeln!(out, "\nimpl Default for {} {{", part.name);
    out.push_str("    fn default() -> Self {\n        Self {\n");
    for field in &part.fields {
        let value = context.typed(field).default_value()?;
        let _ = writeln!(out, "            {}: {value},", names::field(&field.name));
    }
    if context.keeps_unknown_tags {
        out.push_str("            unknown_tags: Vec::new(),\n");
    }
    out.push_str("        }\n    }\n}\n");
    Ok(())
}

fn codec(out: &mut String, part: &Struct, context: &Context) -> Result<(), String> {
    let (tagged, plain): (Vec<&Field>, Vec<&Field>) =
        part.fields.iter().partition(|field| field.tag.is_some());
    let mut tagged = tagged;
    tagged.sort_by_key(|field| field.tag.map(|(tag, _)| tag));
    check_tags(&tagged, context)?;
    let _ = writeln!(out, "\nimpl Struct for {} {{", part.name);
    read(out, &plain, &tagged, context)?;
    out.push('\n');
    write(out, part, &plain, &tagged, context)?;
    out.push_str("}\n");
    Ok(())
}

/// Fields that are tagged in some of their versions only do not exist, and the generator does not
/// provide for them.
fn check_tags(tagged: &[&Field], context: &Context) -> Result<(), String> {
    for field in tagged {
        let partly = field
            .tag
            .is_some_and(|(_, versions)| versions != field.versions);
        let (low, high) = context.versions;
        let live = field.versions.intersect(Versions(Some((low, high))));
        if partly || !context.message.flexible.covers(live) {
            return Err(format!(
                "{}: tagged in other versions than its own",
                field.name
            ));
        }
    }
    let mut tags: Vec<_> = tagged
        .iter()
        .map(|field| field.tag.map(|(tag, _)| tag))
        .collect();
    tags.dedup();
    if tags.len() == tagged.len() {
        Ok(())
    } else {
        Err("a tag is used twice".to_owned())
    }
}

fn read(
    out: &mut String,
    plain: &[&Field],
    tagged: &[&Field],
    context: &Context,
) -> Result<(), String> {
    out.push_str("    fn read(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {\n");
    let _ = writeln!(out, "        let flexible = {};", context.flexible());
    out.push_str("        let mut this = Self::default();\n");
    for field in plain {
        let assign = read_field(field, context)?;
        let _ = match context.condition(field.versions) {
            None => writeln!(out, "        {assign}"),
            Some(condition) => writeln!(
                out,
                "        if {condition} {{\n            {assign}\n        }}"
            ),
        };
    }
    if context.message.flexible.is_none() {
    } else if tagged.is_empty() && context.keeps_unknown_tags {
        out.push_str("        this.unknown_tags = r.unknown_tags(flexible)?;\n");
    } else if tagged.is_empty() {
        out.push_str("        r.skip_tags(flexible)?;\n");
    } else {
        read_tags(out, tagged, context)?;
    }
    out.push_str("        Ok(this)\n    }\n");
    Ok(())
}

fn read_field(field: &Field, context: &Context) -> Result<String, String> {
    let flexible = match field.flexible {
        None => "flexible".to_owned(),
        Some(versions) => context
            .condition(versions)
            .unwrap_or_else(|| "true".to_owned()),
    };
    let mut value = context.typed(field).read(&flexible)?;
    if let Some(condition) = context.null_condition(field) {
        if types::is_struct(field) && !field.array {
            return Err(format!(
                "{}: a struct that is nullable in some versions",
                field.name
            ));
        }
        value = format!("null_if({condition}, {value})?");
    }
    Ok(format!("this.{} = {value};", names::field(&field.name)))
}

fn read_tags(out: &mut String, tagged: &[&Field], context: &Context) -> Result<(), String> {
    out.push_str("        for _ in 0..r.tag_count(flexible)? {\n");
    out.push_str("            let (tag, mut value) = r.tagged()?;\n");
    out.push_str("            let r = &mut value;\n            match tag {\n");
    for field in tagged {
        let tag = field.tag.map(|(tag, _)| tag).unwrap_or_default();
        let guard = context
            .condition(field.versions)
            .filter(|guard| *guard != context.flexible());
        let guard = guard
            .map(|guard| format!(" if {guard}"))
            .unwrap_or_default();
        let _ = writeln!(out, "                {tag}{guard} => {{");
        let _ = writeln!(out, "                    {}", read_field(field, context)?);
        out.push_str("                    r.end()?;\n                }\n");
        if !guard.is_empty() {
            let refuse = "return Err(DecodeError::UnexpectedTag { tag })";
            let _ = writeln!(out, "                {tag} => {refuse},");
        }
    }
    if context.keeps_unknown_tags {
        out.push_str(
            "                _ => this.unknown_tags.push(UnknownTag { tag, value: r.rest() }),\n",
        );
    } else {
        out.push_str("                _ => {}\n");
    }
    out.push_str("            }\n        }\n");
    Ok(())
}

fn write(
    out: &mut String,
    part: &Struct,
    plain: &[&Field],
    tagged: &[&Field],
    context: &Context,
) -> Result<(), String> {
    out.push_str(
        "    fn write(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {\n",
    );
    let _ = writeln!(out, "        let flexible = {};", context.flexible());
    for field in plain {
        let statement = write_field(field, part, context)?;
        let Some(condition) = context.condition(field.versions) else {
            let _ = writeln!(out, "        {statement}");
            continue;
        };
        let _ = write!(
            out,
            "        if {condition} {{\n            {statement}\n        }}"
        );
        if !field.ignorable {
            let _ = write!(
                out,
                " else {{\n            {}\n        }}",
                absent(field, part, context)?
            );
        }
        out.push('\n');
    }
    for field in tagged.iter().filter(|field| !field.ignorable) {
        if let Some(condition) = context.condition(field.versions) {
            let absent = absent(field, part, context)?;
            let _ = writeln!(
                out,
                "        if !({condition}) {{\n            {absent}\n        }}"
            );
        }
    }
    if context.keeps_unknown_tags && context.flexible() != "true" {
        let unknown = "flexible || self.unknown_tags.is_empty()";
        let _ = writeln!(
            out,
            "        absent({unknown}, \"{}.unknown_tags\", version)?;",
            part.name
        );
    }
    if !context.message.flexible.is_none() {
        write_tags(out, part, tagged, context)?;
    }
    out.push_str("        Ok(())\n    }\n");
    Ok(())
}

/// In a version without the field, its value must be the default one.
fn absent(field: &Field, part: &Struct, context: &Context) -> Result<String, String> {
    let is_default = context.typed(field).is_default()?;
    Ok(format!(
        "absent({is_default}, \"{}.{}\", version)?;",
        part.name, field.name
    ))
}

fn write_field(field: &Field, part: &Struct, context: &Context) -> Result<String, String> {
    let flexible = match field.flexible {
        None => "flexible".to_owned(),
        Some(versions) => context
            .condition(versions)
            .unwrap_or_else(|| "true".to_owned()),
    };
    let statement = context.typed(field).write(&flexible)?;
    Ok(match context.null_condition(field) {
        None => statement,
        Some(condition) => format!(
            "if !({condition}) {{ not_null(&self.{}, \"{}.{}\", version)?; }}\n{statement}",
            names::field(&field.name),
            part.name,
            field.name
        ),
    })
}

fn write_tags(
    out: &mut String,
    part: &Struct,
    tagged: &[&Field],
    context: &Context,
) -> Result<(), String> {
    out.push_str("        if flexible {\n");
    let unknown = if context.keeps_unknown_tags {
        "&self.unknown_tags"
    } else {
        "&[]"
    };
    if tagged.is_empty() {
        let _ = writeln!(out, "            w.tag_count(&[], {unknown});");
    } else {
        out.push_str("            let tagged = [\n");
        for field in tagged {
            let mut present = format!("!({})", context.typed(field).is_default()?);
            let guard = context.condition(field.versions);
            if let Some(guard) = guard.filter(|guard| *guard != context.flexible()) {
                present = format!("{guard} && {present}");
            }
            let _ = writeln!(out, "                {present},");
        }
        let _ = writeln!(
            out,
            "            ];\n            w.tag_count(&tagged, {unknown});"
        );
    }
    let mut next = 0;
    for (index, field) in tagged.iter().enumerate() {
        let tag = field.tag.map(|(tag, _)| tag).unwrap_or_default();
        if context.keeps_unknown_tags && next < tag {
            let _ = writeln!(out, "            w.unknown_tags({unknown}, {next}..{tag});");
        }
        next = tag + 1;
        let _ = writeln!(out, "            if tagged[{index}] {{");
        let _ = writeln!(out, "                let start = w.begin_tag({tag});");
        let _ = writeln!(
            out,
            "                {}",
            write_field(field, part, context)?
        );
        out.push_str("                w.end_tag(start);\n            }\n");
    }
    if context.keeps_unknown_tags {
        let _ = writeln!(out, "            w.unknown_tags({unknown}, {next}..);");
    }
    out.push_str("        }\n");
    Ok(())
}

/// How the struct becomes JSON.
fn json(out: &mut String, part: &Struct, context: &Context) -> Result<(), String> {
    let _ = writeln!(out, "\nimpl ToJson for {} {{", part.name);
    out.push_str("    fn to_json(&self, version: i16) -> serde_json::Value {\n");
    out.push_str("        let mut json = JsonObject::default();\n");
    for field in &part.fields {
        let put = format!(
            "json.put(\"{}\", &self.{}, version);",
            names::camel(&field.name),
            names::field(&field.name)
        );
        let mut conditions: Vec<String> = context.condition(field.versions).into_iter().collect();
        if field.tag.is_some() {
            conditions.push(format!("!({})", context.typed(field).is_default()?));
        }
        let _ = match conditions.is_empty() {
            true => writeln!(out, "        {put}"),
            false => writeln!(
                out,
                "        if {} {{\n            {put}\n        }}",
                conditions.join(" && ")
            ),
        };
    }
    out.push_str("        json.into()\n    }\n}\n");
    Ok(())
}

fn message_impl(out: &mut String, context: &Context) {
    let message = context.message;
    let name = &message.name;
    let (low, high) = context.versions;
    let first_flexible = match message.flexible.0 {
        None => "i16::MAX".to_owned(),
        Some((first, _)) => first.to_string(),
    };
    let _ = writeln!(out, "\nimpl Message for {name} {{");
    let _ = writeln!(out, "    const NAME: &'static str = \"{name}\";");
    let _ = writeln!(out, "    const MIN_VERSION: i16 = {low};");
    let _ = writeln!(out, "    const MAX_VERSION: i16 = {high};");
    let _ = writeln!(out, "    const FIRST_FLEXIBLE: i16 = {first_flexible};");
    out.push_str("}\n");
    let api = name
        .trim_end_matches("Request")
        .trim_end_matches("Response");
    match (message.kind, message.key) {
        (Kind::Request, _) => {
            let _ = writeln!(out, "\nimpl Request for {name} {{");
            let _ = writeln!(out, "    const KEY: ApiKey = ApiKey::{api};");
            let _ = writeln!(out, "    type Response = super::{api}Response;\n}}");
        }
        (Kind::Response, _) => {
            let _ = writeln!(out, "\nimpl Response for {name} {{");
            let _ = writeln!(out, "    const KEY: ApiKey = ApiKey::{api};");
            if message.fields.iter().any(|f| f.name == "ThrottleTimeMs") {
                out.push_str("\n    fn set_throttle_time_ms(&mut self, ms: i32) {\n");
                out.push_str("        self.throttle_time_ms = ms;\n    }\n");
            }
            out.push_str("}\n");
        }
        (_, Some(key)) => {
            let _ = writeln!(
                out,
                "\nimpl Record for {name} {{\n    const KEY: i16 = {key};\n}}"
            );
        }
        _ => {}
    }
}
