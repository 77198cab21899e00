//! The lines of a dump, either as Kafka prints them, `name: value` after `name: value`, or as a JSON
//! object each.
use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use serde_json::{Map, Value};

use super::options::Shape;
use crate::tools::java_json;

/// One line after the other. A field goes to the printer as soon as it is there, so that what could
/// be read of a damaged record is printed.
pub struct Lines<'p> {
    out: &'p mut dyn Write,
    shape: Shape,
    text: String,
    /// A field has been put into the text.
    begun: bool,
    object: Map<String, Value>,
}

impl<'p> Lines<'p> {
    pub fn new(out: &'p mut dyn Write, shape: Shape) -> Self {
        Self {
            out,
            shape,
            text: String::new(),
            begun: false,
            object: Map::new(),
        }
    }

    /// What stands before the fields of this line in Kafka's text.
    pub fn indent(&mut self, mark: &str) {
        if self.shape == Shape::Kafka {
            self.text.push_str(mark);
        }
    }

    /// `name: value`.
    pub fn field(&mut self, name: &str, value: impl Display + Into<Value>) {
        match self.shape {
            Shape::Kafka => self.words(format_args!("{name}: {value}")),
            Shape::JsonLines => self.put(name, value.into()),
        }
    }

    /// A field whose name or value is not the same in both shapes.
    pub fn said(&mut self, kafka: fmt::Arguments<'_>, name: &str, value: impl Into<Value>) {
        match self.shape {
            Shape::Kafka => self.words(kafka),
            Shape::JsonLines => self.put(name, value.into()),
        }
    }

    /// A number that may be missing, as Java's `OptionalLong` says it.
    pub fn optional(&mut self, name: &str, number: Option<i64>) {
        match number {
            Some(found) => self.said(format_args!("{name}: OptionalLong[{found}]"), name, number),
            None => self.said(format_args!("{name}: OptionalLong.empty"), name, number),
        }
    }

    pub fn end(&mut self) -> io::Result<()> {
        if self.shape == Shape::JsonLines && !self.object.is_empty() {
            let object = Value::Object(std::mem::take(&mut self.object));
            self.text = java_json::to_string(&object);
        } else if self.shape == Shape::JsonLines {
            return Ok(());
        }
        self.text.push('\n');
        self.out.write_all(self.text.as_bytes())?;
        self.text.clear();
        self.begun = false;
        Ok(())
    }

    /// What was said of a line whose rest cannot be read.
    pub fn abandon(&mut self) -> io::Result<()> {
        if self.text.is_empty() && self.object.is_empty() {
            return self.out.flush();
        }
        self.end()?;
        self.out.flush()
    }

    fn words(&mut self, words: fmt::Arguments<'_>) {
        if std::mem::replace(&mut self.begun, true) {
            self.text.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(words);
    }

    fn put(&mut self, name: &str, value: Value) {
        self.object.insert(name.to_owned(), value);
    }
}
