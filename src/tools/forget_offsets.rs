//! `--delete-offsets` of consumer and streams groups.
use std::collections::BTreeMap;

use super::cluster::thrown;
use super::listing::{padded, width};
use super::output::Printer;
use super::reset_plan::split_topics;
use crate::client::admin::{Admin, PARTITIONS_PER_RESPONSE};
use crate::client::{ClientError, TopicPartition};
use crate::protocol::ErrorCode;

/// What became of each partition; the partition of a topic that is not there is -1.
type Outcomes = BTreeMap<TopicPartition, Option<ClientError>>;

/// Lets the group forget its offsets of what values of `--topic` name.
pub async fn of_topics(
    admin: &Admin,
    printer: &mut Printer,
    group: &str,
    texts: &[String],
) -> anyhow::Result<()> {
    let mut outcomes = Outcomes::new();
    let (mut partitions, topics) = split_topics(texts)?;
    let described = admin.describe_topics(&topics, PARTITIONS_PER_RESPONSE);
    for (name, topic) in described.await? {
        match topic {
            Ok(topic) => {
                let of_topic = topic.partitions.iter();
                partitions.extend(of_topic.map(|p| TopicPartition::new(&*name, p.partition)));
            }
            Err(error) => {
                outcomes.insert(TopicPartition::new(name, -1), Some(error));
            }
        }
    }
    partitions.sort();
    partitions.dedup();
    of_partitions(admin, printer, group, &partitions, outcomes).await
}

/// The same for partitions, beside what is known of others.
pub async fn of_partitions(
    admin: &Admin,
    printer: &mut Printer,
    group: &str,
    partitions: &[TopicPartition],
    mut outcomes: Outcomes,
) -> anyhow::Result<()> {
    let mut worst = None;
    match admin.delete_consumer_group_offsets(group, partitions).await {
        Ok(forgotten) => {
            for (partition, outcome) in forgotten {
                let error = outcome.err();
                worst = worst.or(error.clone());
                outcomes.insert(partition, error);
            }
        }
        Err(error) => {
            worst = Some(error.clone());
            let failed = partitions.iter().cloned();
            outcomes.extend(failed.map(|partition| (partition, Some(error.clone()))));
        }
    }
    tell_outcome(printer, group, worst.as_ref())?;
    let longest = width(15, outcomes.keys().map(|partition| &*partition.topic));
    let widths = [longest, 10, 15];
    printer.line("")?;
    printer.line(padded(&["TOPIC", "PARTITION", "STATUS"], &widths))?;
    let mut outcomes: Vec<_> = outcomes.into_iter().collect();
    // Kafka sorts by what it prints: partition 10 comes before 2.
    outcomes.sort_by_key(|(partition, _)| format!("{}{}", partition.topic, partition.partition));
    for (partition, error) in outcomes {
        let index = match partition.partition {
            -1 => "-".to_owned(),
            index => index.to_string(),
        };
        let status = error.map_or("Successful".to_owned(), |error| {
            format!("Error: {}", thrown(error))
        });
        printer.line(padded(&[&*partition.topic, &index, &status], &widths))?;
    }
    Ok(())
}

fn tell_outcome(
    printer: &mut Printer,
    group: &str,
    worst: Option<&ClientError>,
) -> std::io::Result<()> {
    let Some(error) = worst else {
        let text = format!("Request succeeded for deleting offsets from group {group}.");
        return printer.line(text);
    };
    let text = match error.code() {
        Some(
            code @ (ErrorCode::InvalidGroupId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::NonEmptyGroup),
        ) => code.message().to_owned(),
        Some(
            ErrorCode::GroupSubscribedToTopic
            | ErrorCode::TopicAuthorizationFailed
            | ErrorCode::UnknownTopicOrPartition,
        ) => "Encountered some partition-level error, see the follow-up details.".to_owned(),
        code => {
            let name = code.map_or("UNKNOWN_SERVER_ERROR", ErrorCode::name);
            format!("Encountered some unknown error: {name}")
        }
    };
    printer.line(format!("\nError: {text}"))
}
