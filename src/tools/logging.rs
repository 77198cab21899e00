//! Log lines on stderr: `[2026-11-20 23:16:00,123] WARN text`, as Kafka's tools write them.
use std::fmt::{self, Write as _};
use std::io::IsTerminal;

use std::sync::OnceLock;

use jiff::Zoned;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

/// Changes what is shown: the level of everything else, and those of targets that have their own.
type Change = Box<dyn Fn(LevelFilter, &[(String, LevelFilter)]) + Send + Sync>;

static CHANGE: OnceLock<Change> = OnceLock::new();

/// Shows events at `level` and above from here on. Later calls change nothing.
pub fn install(level: Level) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .event_format(KafkaLine {
            in_colour: std::io::stderr().is_terminal(),
        });
    let shown = Targets::new().with_default(level);
    let (filter, handle) = reload::Layer::new(shown);
    let subscriber = Registry::default().with(filter).with(lines);
    // Fails when a subscriber is there already, as in tests: that one stays.
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let change = move |level: LevelFilter, targets: &[(String, LevelFilter)]| {
            let shown = Targets::new().with_default(level);
            // Fails when the subscriber is gone, and nobody reads.
            let _ = handle.reload(shown.with_targets(targets.iter().cloned()));
        };
        let _ = CHANGE.set(Box::new(change));
    }
}

/// Changes levels from here on; without effect where [`install`] has had none.
pub fn change(level: LevelFilter, targets: &[(String, LevelFilter)]) {
    if let Some(change) = CHANGE.get() {
        change(level, targets);
    }
}

struct KafkaLine {
    in_colour: bool,
}

impl<S, N> FormatEvent<S, N> for KafkaLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = Zoned::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
        let level = *event.metadata().level();
        let colour = match level {
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            _ => "",
        };
        if self.in_colour && !colour.is_empty() {
            write!(writer, "[{time}] {colour}{level}\x1b[0m ")?;
        } else {
            write!(writer, "[{time}] {level} ")?;
        }
        let mut text = Text::default();
        event.record(&mut text);
        writeln!(writer, "{}{}", text.message, text.fields)
    }
}

/// The message, then the other fields as ` name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}
