//! The lines of `kafka-share-consumer-perf-test` and the figures in them.
use crate::tools::consumer_perf::stats::{MEBIBYTE, Read};
use crate::tools::date_format::DateFormat;
use crate::tools::java_format::fixed;

pub const HEADER: &str = "start.time, end.time, data.consumed.in.MB, MB.sec, nMsg.sec, \
                          data.consumed.in.nMsg, fetch.time.ms";

/// From when to when, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub start_ms: i64,
    pub end_ms: i64,
}

/// The line of the whole group, in the fields of the header.
pub fn line(dates: &DateFormat, read: Read, span: Span) -> String {
    let seconds = (span.end_ms - span.start_ms) as f64 / 1000.0;
    let megabytes = read.bytes as f64 / MEBIBYTE;
    let rates = (megabytes / seconds, read.records as f64 / seconds);
    fields(dates, span, megabytes, rates, read.records)
}

/// The line of one consumer.
pub fn consumer_line(
    dates: &DateFormat,
    read: Read,
    span: Span,
    (number, client_id): (usize, &str),
) -> String {
    let fields = line(dates, read, span);
    format!("Share consumer {number} having client id {client_id} consumption metrics- {fields}")
}

/// The line of an interval of one consumer, in which `read` has grown from `before`.
pub fn interval_line(
    dates: &DateFormat,
    before: Read,
    read: Read,
    span: Span,
    number: usize,
) -> String {
    let elapsed = (span.end_ms - span.start_ms) as f64;
    let megabytes = (read.bytes - before.bytes) as f64 / MEBIBYTE;
    let records = (read.records - before.records) as f64;
    let rates = (1000.0 * megabytes / elapsed, records / elapsed * 1000.0);
    let total = read.bytes as f64 / MEBIBYTE;
    let fields = fields(dates, span, total, rates, read.records);
    format!("{fields} for share consumer {number}")
}

/// `rates`: megabytes and records per second.
fn fields(
    dates: &DateFormat,
    span: Span,
    megabytes: f64,
    rates: (f64, f64),
    records: i64,
) -> String {
    format!(
        "{}, {}, {}, {}, {}, {records}, {}",
        dates.format(span.start_ms),
        dates.format(span.end_ms),
        fixed(megabytes, 4),
        fixed(rates.0, 4),
        fixed(rates.1, 4),
        span.end_ms - span.start_ms,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_kafka() {
        let dates = DateFormat::parse("S").unwrap();
        let span = Span {
            start_ms: 125,
            end_ms: 862,
        };
        let (before, read) = (
            Read {
                records: 500,
                bytes: 0,
            },
            Read {
                records: 1_000,
                bytes: 104_858,
            },
        );
        assert_eq!(
            line(&dates, read, span),
            "125, 862, 0.1000, 0.1357, 1356.8521, 1000, 737"
        );
        assert_eq!(
            consumer_line(&dates, read, span, (2, "c-2")),
            "Share consumer 2 having client id c-2 consumption metrics- 125, 862, 0.1000, 0.1357, \
             1356.8521, 1000, 737"
        );
        assert_eq!(
            interval_line(&dates, before, read, span, 1),
            "125, 862, 0.1000, 0.1357, 678.4261, 1000, 737 for share consumer 1"
        );
    }
}
