//! What `--print-metrics` prints: those of the metrics of Kafka's clients that this client counts,
//! under their names and in Kafka's layout.
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::KAFKA_VERSION;
use super::java_format::fixed;
use super::output::Printer;
use crate::client::Client;
use crate::client::traffic::Counts;

/// Metrics by their whole name, `group:name:{tags}`.
pub struct Report {
    client_id: String,
    elapsed: Duration,
    metrics: BTreeMap<String, String>,
}

impl Report {
    /// Begins with what every client has; `kind` is `producer` or `consumer`.
    pub fn new(kind: &'static str, client: &Client, started_ms: i64, elapsed: Duration) -> Self {
        let mut report = Report {
            client_id: client.config().connection.client_id.to_string(),
            elapsed,
            metrics: BTreeMap::new(),
        };
        report.insert("app-info", "start-time-ms", "", started_ms.to_string());
        report.insert("app-info", "version", "", KAFKA_VERSION.to_owned());
        let counts = client.traffic().counts();
        let all = counts
            .values()
            .copied()
            .fold(Counts::default(), Counts::with);
        let group = format!("{kind}-metrics");
        let number = |count: u64| count as f64;
        report.add(
            &group,
            "connection-count",
            "",
            number(all.opened - all.closed),
        );
        report.total(&group, "connection-creation", "", number(all.opened));
        report.total(&group, "connection-close", "", number(all.closed));
        report.total(
            &group,
            "network-io",
            "",
            number(all.requests + all.responses),
        );
        report.traffic(&group, "", all);
        let by_node = format!("{kind}-node-metrics");
        for (id, counts) in counts {
            let tag = format!(", node-id=node-{id}");
            report.traffic(&by_node, &tag, counts);
            let latency = counts.latency.as_secs_f64() * 1000.0 / number(counts.responses);
            report.add(&by_node, "request-latency-avg", &tag, latency);
            let latency = counts.latency_max.as_secs_f64() * 1000.0;
            report.add(&by_node, "request-latency-max", &tag, latency);
        }
        report
    }

    fn traffic(&mut self, group: &str, tag: &str, counts: Counts) {
        self.total(group, "incoming-byte", tag, counts.bytes_in as f64);
        self.total(group, "outgoing-byte", tag, counts.bytes_out as f64);
        self.total(group, "request", tag, counts.requests as f64);
        self.total(group, "response", tag, counts.responses as f64);
        let mean = counts.bytes_out as f64 / counts.requests as f64;
        self.add(group, "request-size-avg", tag, mean);
        self.add(
            group,
            "request-size-max",
            tag,
            counts.request_bytes_max as f64,
        );
    }

    /// `NAME-total`, and `NAME-rate` over the whole run.
    pub fn total(&mut self, group: &str, name: &str, tag: &str, count: f64) {
        let rate = count / self.elapsed.as_secs_f64();
        self.add(group, &format!("{name}-total"), tag, count);
        self.add(group, &format!("{name}-rate"), tag, rate);
    }

    /// `tag` stands after the client id: `, topic=t`.
    pub fn add(&mut self, group: &str, name: &str, tag: &str, value: f64) {
        self.insert(group, name, tag, fixed(value, 3));
    }

    pub fn insert(&mut self, group: &str, name: &str, tag: &str, value: String) {
        let name = format!("{group}:{name}:{{client-id={}{tag}}}", self.client_id);
        self.metrics.insert(name, value);
    }

    pub fn print(&self, printer: &mut Printer) -> io::Result<()> {
        let width = self.metrics.keys().map(String::len).max().unwrap_or(0);
        printer.line(format!("\n{:<width$}   Value", "Metric Name"))?;
        for (name, value) in &self.metrics {
            printer.line(format!("{name:<width$} : {value}"))?;
        }
        Ok(())
    }
}
