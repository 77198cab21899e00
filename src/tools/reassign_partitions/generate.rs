//! `reassign-partitions --generate`.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::{Command, plan};
use crate::client::TopicPartition;
use crate::client::connection::Endpoint;
use crate::tools::cluster::thrown;
use crate::tools::json_input::{array, read_file, text, version};

impl Command<'_> {
    pub(super) async fn generate(&mut self) -> anyhow::Result<()> {
        let path = self
            .options
            .value("topics-to-move-json-file")?
            .unwrap_or_default();
        let file = read_file(path)?;
        let mut brokers = Vec::new();
        for id in self
            .options
            .value("broker-list")?
            .unwrap_or_default()
            .split(',')
        {
            brokers.push(
                id.parse::<i32>()
                    .map_err(|_| anyhow!("For input string: \"{id}\""))?,
            );
        }
        let ids: Vec<String> = brokers.iter().map(i32::to_string).collect();
        let twice = plan::duplicates(&ids);
        if !twice.is_empty() {
            bail!(
                "Broker list contains duplicate entries: [{}]",
                twice.join(", ")
            );
        }
        let topics = parse_topics(&file)?;
        let twice = plan::duplicates(&topics);
        if !twice.is_empty() {
            let twice = twice.join(", ");
            bail!("List of topics to reassign contains duplicate entries: [{twice}]");
        }
        let names: BTreeSet<&str> = topics.iter().map(String::as_str).collect();
        let current = self.assignments(&names).await?;
        let directories = self.current_directories(&current).await?;
        let racks = self.racks(&brokers).await?;
        let proposed = propose(&current, &racks, |below| fastrand::usize(..below.max(1)))?;
        self.printer.line(format!(
            "Current partition replica assignment\n{}\n",
            plan::format(&current, &directories)
        ))?;
        self.printer.line(format!(
            "Proposed partition reassignment configuration\n{}",
            plan::format(&proposed, &BTreeMap::new())
        ))?;
        Ok(())
    }

    /// The brokers that are there, by rack; all in one without rack awareness.
    async fn racks(&self, wanted: &[i32]) -> anyhow::Result<Vec<Vec<i32>>> {
        let aware = !self.options.has("disable-rack-aware");
        let cluster = self.admin.describe_cluster().await.map_err(thrown)?;
        let brokers: Vec<&Endpoint> = cluster
            .brokers
            .iter()
            .filter(|broker| wanted.contains(&broker.id))
            .collect();
        let rackless = brokers
            .iter()
            .filter(|broker| broker.rack.is_none())
            .count();
        if aware && rackless != 0 && rackless != brokers.len() {
            bail!(
                "Not all brokers have rack information. Add --disable-rack-aware in command line \
                 to make replica assignment without rack information."
            );
        }
        let mut racks: BTreeMap<Option<&str>, Vec<i32>> = BTreeMap::new();
        for broker in brokers {
            let rack = broker.rack.as_deref().filter(|_| aware);
            racks.entry(rack).or_default().push(broker.id);
        }
        Ok(racks.into_values().collect())
    }
}

fn parse_topics(json: &str) -> anyhow::Result<Vec<String>> {
    let parsed: Value =
        serde_json::from_str(json).map_err(|_| anyhow!("The input string is not a valid JSON"))?;
    match version(&parsed)? {
        1 => {}
        other => bail!("Not supported version field value {other}"),
    }
    let mut topics = Vec::new();
    if let Some(list) = parsed.get("topics") {
        for item in array(list)? {
            topics.push(text(item, "topic")?.to_owned());
        }
    }
    Ok(topics)
}

/// Spreads each topic's partitions over the brokers: racks in turn, within a rack its brokers in
/// turn, beginning anywhere. `random(n)` is below n.
fn propose(
    current: &BTreeMap<TopicPartition, Vec<i32>>,
    racks: &[Vec<i32>],
    mut random: impl FnMut(usize) -> usize,
) -> anyhow::Result<BTreeMap<TopicPartition, Vec<i32>>> {
    let brokers: usize = racks.iter().map(Vec::len).sum();
    if brokers == 0 {
        bail!("All brokers are currently fenced, or have all their log directories cordoned.");
    }
    let ring = ring(racks);
    let mut factors: BTreeMap<&str, usize> = BTreeMap::new();
    let mut starts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut proposed = BTreeMap::new();
    for (partition, replicas) in current {
        let topic = &*partition.topic;
        let factor = *factors.entry(topic).or_insert(replicas.len());
        if factor > brokers {
            bail!(
                "The target replication factor of {factor} cannot be reached because only \
                 {brokers} broker(s) are registered or some brokers have all their log \
                 directories cordoned."
            );
        }
        let start = *starts.entry(topic).or_insert_with(|| random(brokers));
        let index = usize::try_from(partition.partition).unwrap_or(0);
        let chosen = ring.iter().copied().cycle().skip((start + index) % brokers);
        proposed.insert(partition.clone(), chosen.take(factor).collect());
    }
    Ok(proposed)
}

/// All brokers once, neighbours from different racks while there are several.
fn ring(racks: &[Vec<i32>]) -> Vec<i32> {
    let longest = racks.iter().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|at| racks.iter().filter_map(move |rack| rack.get(at).copied()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current(partitions: i32, factor: usize) -> BTreeMap<TopicPartition, Vec<i32>> {
        let replicas = vec![9; factor];
        let partition = |index| (TopicPartition::new("t", index), replicas.clone());
        (0..partitions).map(partition).collect()
    }

    #[test]
    fn leaders_and_racks_are_spread() {
        let racks = [vec![1, 2], vec![3, 4]];
        let proposed = propose(&current(4, 2), &racks, |_| 0).unwrap();
        let leaders: BTreeSet<i32> = proposed.values().map(|replicas| replicas[0]).collect();
        assert_eq!(leaders, BTreeSet::from([1, 2, 3, 4]));
        for replicas in proposed.values() {
            let in_first = replicas.iter().filter(|id| racks[0].contains(id)).count();
            assert_eq!(in_first, 1, "{replicas:?}");
        }
    }

    #[test]
    fn there_must_be_enough_brokers() {
        assert!(propose(&current(1, 1), &[], |_| 0).is_err());
        assert!(propose(&current(1, 3), &[vec![1, 2]], |_| 0).is_err());
    }
}
