//! Where a tool's text goes, and in which shape.
//!
//! Data goes to stdout, everything else to stderr. Kafka's own text is printed when stdout is not a
//! terminal, when the tool was called by its Kafka name, and with `--output kafka`, so that scripts
//! see what they know; at a terminal `kafkars TOOL` prints tables made for people.
use std::ffi::OsStr;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};

use super::options::{Group, Opt};

const LINE: LineStyle = LineStyle::none().fill('─').junction('─');
/// Tables have lines around the header and at the foot: between rows they would only push rows out of sight.
const LINES: TableStyle = TableStyle::new()
    .top_border(LINE)
    .header_separator(LINE)
    .bottom_border(LINE);

/// How data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Kafka,
    Table,
    Json,
}

impl Format {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "kafka" => Ok(Format::Kafka),
            "table" => Ok(Format::Table),
            "json" => Ok(Format::Json),
            _ => Err(format!(
                "Unknown output '{text}': choose kafka, table or json."
            )),
        }
    }
}

/// The option that tools with data to show add to Kafka's own.
pub const OUTPUT: Group = Group {
    heading: "Output",
    options: &[Opt::value(
        "output",
        "FORMAT",
        "How to print: kafka (Kafka's own text), table, json \
         [default: table on a terminal, otherwise kafka]",
    )],
};

/// How the tool was called.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What the user typed to get this tool: `kafkars topics` or `kafka-topics.sh`.
    pub program: String,
    /// True when called by a name that Kafka's scripts have.
    pub by_kafka_name: bool,
    /// The words after the tool's name.
    pub args: Vec<String>,
}

impl Invocation {
    /// The shape of the output when the user did not choose one.
    pub fn default_format(&self) -> Format {
        if self.by_kafka_name || !io::stdout().is_terminal() {
            Format::Kafka
        } else {
            Format::Table
        }
    }
}

/// The name without a directory and without `.sh` (or `.bat`).
pub fn base_name(argv0: &OsStr) -> String {
    let name = Path::new(argv0)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    for suffix in [".sh", ".bat", ".exe"] {
        if let Some(name) = name.strip_suffix(suffix) {
            return name.to_owned();
        }
    }
    name.into_owned()
}

/// Prints data to stdout and messages to stderr.
pub struct Printer {
    out: BufWriter<io::Stdout>,
}

impl Default for Printer {
    fn default() -> Self {
        Printer {
            out: BufWriter::with_capacity(64 << 10, io::stdout()),
        }
    }
}

impl Printer {
    /// Data, line by line, as scripts read it.
    pub fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        self.out.write_all(text.as_ref().as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// Data that does not end its line.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(LINES);
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(header);
        for row in rows {
            table.add_row(row);
        }
        self.line(table.to_string())
    }

    pub fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.line(text)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How wide the terminal is, if stdout is one.
pub fn terminal_width() -> Option<usize> {
    Table::new().width().map(usize::from)
}

/// For what writes its own lines.
impl Write for Printer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A message for the user, on stderr. Nobody may be listening: that is no failure.
pub fn message(text: impl AsRef<str>) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{}", text.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_directory_and_suffix() {
        for (argv0, want) in [
            ("/opt/kafka/bin/kafka-topics.sh", "kafka-topics"),
            ("kafka-topics", "kafka-topics"),
            ("./kafkars", "kafkars"),
            ("connect-standalone.sh", "connect-standalone"),
            ("", ""),
        ] {
            assert_eq!(base_name(OsStr::new(argv0)), want);
        }
    }
}
