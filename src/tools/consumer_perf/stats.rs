//! The lines of `kafka-consumer-perf-test` and the figures in them.
use crate::record::RecordView;
use crate::tools::date_format::DateFormat;
use crate::tools::java_format::fixed;

pub const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What was read up to some time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    pub records: i64,
    pub bytes: i64,
}

/// From when to when, in milliseconds, and how much of it the group was rebalancing.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub start_ms: i64,
    pub end_ms: i64,
    pub rebalance_ms: i64,
}

/// What counts as the size of a record.
pub fn size(record: &RecordView<'_>) -> i64 {
    let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    (len(record.key) + len(record.value)) as i64
}

/// What is said when the records ran out.
pub fn too_few(timeout_ms: i64) -> String {
    format!(
        "WARNING: Exiting before consuming the expected number of records: timeout ({timeout_ms} \
         ms) exceeded. You can use the --timeout option to increase the timeout."
    )
}

pub fn header(detailed: bool) -> String {
    let first = if detailed {
        "time, threadId"
    } else {
        "start.time, end.time"
    };
    format!(
        "{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, \
         fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
    )
}

/// The line of a whole run.
pub fn total_line(dates: &DateFormat, read: Read, span: Span) -> String {
    let seconds = (span.end_ms - span.start_ms) as f64 / 1000.0;
    let fetch_ms = span.end_ms - span.start_ms - span.rebalance_ms;
    let fetch_seconds = fetch_ms as f64 / 1000.0;
    let (megabytes, records) = (read.bytes as f64 / MEBIBYTE, read.records as f64);
    format!(
        "{}, {}, {}, {}, {}, {}, {}, {fetch_ms}, {}, {}",
        dates.format(span.start_ms),
        dates.format(span.end_ms),
        fixed(megabytes, 4),
        fixed(megabytes / seconds, 4),
        read.records,
        fixed(records / seconds, 4),
        span.rebalance_ms,
        fixed(megabytes / fetch_seconds, 4),
        fixed(records / fetch_seconds, 4),
    )
}

/// The line of an interval, in which `read` has grown from `before`.
pub fn interval_line(dates: &DateFormat, before: Read, read: Read, span: Span) -> String {
    let elapsed = (span.end_ms - span.start_ms) as f64;
    let fetch_ms = span.end_ms - span.start_ms - span.rebalance_ms;
    let megabytes = (read.bytes - before.bytes) as f64 / MEBIBYTE;
    let records = read.records - before.records;
    let fetched = |amount: f64| match fetch_ms {
        ..=0 => 0.0,
        ms => 1000.0 * amount / ms as f64,
    };
    format!(
        "{}, 0, {}, {}, {}, {}, {}, {fetch_ms}, {}, {}",
        dates.format(span.end_ms),
        fixed(read.bytes as f64 / MEBIBYTE, 4),
        fixed(1000.0 * megabytes / elapsed, 4),
        read.records,
        fixed(records as f64 / elapsed * 1000.0, 4),
        span.rebalance_ms,
        fixed(fetched(megabytes), 4),
        fixed(fetched(records as f64), 4),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Read = Read {
        records: 1_000,
        bytes: 50_000,
    };

    /// The figures of a line that Kafka printed.
    #[test]
    fn a_run_is_summed_up_as_kafka_does() {
        let dates = DateFormat::parse("S").unwrap();
        let span = Span {
            start_ms: 617,
            end_ms: 1_800,
            rebalance_ms: 1_100,
        };
        assert_eq!(
            total_line(&dates, READ, span),
            "617, 800, 0.0477, 0.0403, 1000, 845.3085, 1100, 83, 0.5745, 12048.1928"
        );
    }

    #[test]
    fn intervals_count_what_came_in_them() {
        let dates = DateFormat::parse("S").unwrap();
        let span = Span {
            start_ms: 0,
            end_ms: 500,
            rebalance_ms: 500,
        };
        let before = Read {
            records: 500,
            bytes: 0,
        };
        assert_eq!(
            interval_line(&dates, before, READ, span),
            "500, 0, 0.0477, 0.0954, 1000, 1000.0000, 500, 0, 0.0000, 0.0000"
        );
    }
}
