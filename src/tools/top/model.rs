//! What two samples say together: rates and trends, in the order that is asked for.
use super::sample::{Broker, Sample};

/// By what topics and groups are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The busiest and the furthest behind first.
    #[default]
    Activity,
    Name,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TopicRow {
    pub name: String,
    pub partitions: usize,
    /// `None` at the first look.
    pub records_per_second: Option<f64>,
    pub bytes: Option<i64>,
    /// What is wrong, in a few words; empty if nothing is.
    pub trouble: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct GroupRow {
    pub id: String,
    pub kind: String,
    pub state: String,
    /// `None` for a group that commits no offsets.
    pub lag: Option<i64>,
    pub read_per_second: Option<f64>,
    /// How much the lag grows in a second.
    pub growth_per_second: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    pub topics: Vec<TopicRow>,
    pub groups: Vec<GroupRow>,
    /// Of all topics together.
    pub records_per_second: Option<f64>,
}

/// The last sample and the one before.
#[derive(Debug, Default)]
pub struct Model {
    previous: Option<Sample>,
    current: Option<Sample>,
}

impl Model {
    pub fn take(&mut self, sample: Sample) {
        self.previous = self.current.replace(sample);
    }

    pub fn sample(&self) -> Option<&Sample> {
        self.current.as_ref()
    }

    pub fn brokers(&self) -> &[Broker] {
        self.current.as_ref().map_or(&[], |sample| &sample.brokers)
    }

    pub fn rows(&self, order: Order) -> Rows {
        let Some(current) = &self.current else {
            return Rows {
                topics: Vec::new(),
                groups: Vec::new(),
                records_per_second: None,
            };
        };
        let mut topics = self.topics(current);
        let mut groups = self.groups(current);
        let rates = topics.iter().map(|topic| topic.records_per_second);
        let records_per_second = rates.sum();
        if order == Order::Activity {
            let rate = |topic: &TopicRow| topic.records_per_second.unwrap_or(0.0);
            // Stable: what is equally busy stays in order of name.
            topics.sort_by(|a, b| {
                let trouble = b.trouble.is_empty().cmp(&a.trouble.is_empty()).reverse();
                trouble.then(rate(b).total_cmp(&rate(a)))
            });
            groups.sort_by_key(|group| std::cmp::Reverse(group.lag));
        }
        Rows {
            topics,
            groups,
            records_per_second,
        }
    }

    fn topics(&self, current: &Sample) -> Vec<TopicRow> {
        let before = |name: &str| self.previous.as_ref()?.topics.get(name);
        let row = |(name, topic): (&String, &super::sample::Topic)| TopicRow {
            name: name.clone(),
            partitions: topic.partitions,
            // A topic that was deleted and made again begins anew.
            records_per_second: before(name)
                .and_then(|before| self.per_second((topic.end - before.end).max(0))),
            bytes: topic.bytes,
            trouble: trouble(topic.without_leader, topic.under_replicated),
        };
        current.topics.iter().map(row).collect()
    }

    fn groups(&self, current: &Sample) -> Vec<GroupRow> {
        let before = |id: &str| self.previous.as_ref()?.groups.get(id);
        let rows = current.groups.iter().map(|(id, group)| {
            let before = before(id);
            let read = before.and_then(|before| Some(group.committed? - before.committed?));
            let grown = before.filter(|before| before.committed.is_some());
            GroupRow {
                id: id.clone(),
                kind: group.kind.clone(),
                state: group.state.clone(),
                lag: group.committed.map(|_| group.lag),
                read_per_second: read.and_then(|read| self.per_second(read.max(0))),
                growth_per_second: grown.and_then(|before| self.per_second(group.lag - before.lag)),
            }
        });
        rows.collect()
    }

    fn per_second(&self, count: i64) -> Option<f64> {
        let (previous, current) = (self.previous.as_ref()?, self.current.as_ref()?);
        let seconds = current.at.duration_since(previous.at).as_secs_f64();
        (seconds > 0.0).then(|| count as f64 / seconds)
    }
}

fn trouble(without_leader: usize, under_replicated: usize) -> String {
    let said = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let all = [
        said(without_leader, "without leader"),
        said(under_replicated, "under-replicated"),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::tools::top::sample::{Group, Topic};

    /// A cluster whose topic `busy` and group `slow` are this far.
    pub fn sample(at: Instant, end: i64, committed: i64) -> Sample {
        let topic = |partitions, end| Topic {
            partitions,
            end,
            bytes: Some(end * 10),
            ..Topic::default()
        };
        let group = |committed: Option<i64>, lag| Group {
            kind: "classic".to_owned(),
            state: "Stable".to_owned(),
            committed,
            lag,
        };
        Sample {
            at,
            cluster_id: "abc".to_owned(),
            brokers: vec![Broker {
                id: 1,
                address: "localhost:9092".to_owned(),
                leads: 5,
                replicas: 5,
                bytes: Some(1 << 20),
            }],
            topics: BTreeMap::from([
                ("busy".to_owned(), topic(4, end)),
                ("a-quiet-one".to_owned(), topic(1, 7)),
            ]),
            groups: BTreeMap::from([
                ("slow".to_owned(), group(Some(committed), end - committed)),
                ("none-committed".to_owned(), group(None, 0)),
            ]),
            moving: BTreeMap::new(),
        }
    }

    /// Two seconds in which 200 records came and 40 were read.
    pub fn model() -> Model {
        let mut model = Model::default();
        let start = Instant::now();
        model.take(sample(start, 1000, 900));
        model.take(sample(start + Duration::from_secs(2), 1200, 940));
        model
    }

    #[test]
    fn two_samples_make_rates_and_trends() {
        let rows = model().rows(Order::Activity);
        assert_eq!(rows.records_per_second, Some(100.0));
        let topics: Vec<_> = rows.topics.iter().map(|topic| &*topic.name).collect();
        assert_eq!(topics, ["busy", "a-quiet-one"]);
        let group = &rows.groups[0];
        assert_eq!(
            (group.id.as_str(), group.lag, group.read_per_second),
            ("slow", Some(260), Some(20.0))
        );
        assert_eq!(group.growth_per_second, Some(80.0));
        assert_eq!(rows.groups[1].lag, None);
        let by_name = model().rows(Order::Name);
        assert_eq!(by_name.topics[0].name, "a-quiet-one");
    }

    #[test]
    fn one_sample_makes_no_rates() {
        let mut model = Model::default();
        model.take(sample(Instant::now(), 10, 5));
        let rows = model.rows(Order::Activity);
        assert_eq!(rows.records_per_second, None);
        assert_eq!(rows.groups[0].growth_per_second, None);
        assert_eq!(rows.groups[0].lag, Some(5));
    }

    #[test]
    fn what_is_in_trouble_stands_first() {
        let mut model = model();
        let sample = model.current.as_mut().unwrap();
        sample
            .topics
            .get_mut("a-quiet-one")
            .unwrap()
            .under_replicated = 1;
        let rows = model.rows(Order::Activity);
        assert_eq!(rows.topics[0].name, "a-quiet-one");
        assert_eq!(rows.topics[0].trouble, "1 under-replicated");
    }
}
