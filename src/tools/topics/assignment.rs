//! `--replica-assignment`: which brokers hold which partition.
use anyhow::bail;

/// Parses `1:2,2:1`: brokers by partition, the same number for each.
pub fn parse(text: &str) -> anyhow::Result<Vec<Vec<i32>>> {
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for (partition, part) in text.split(',').enumerate() {
        let mut brokers: Vec<i32> = Vec::new();
        for id in part.split(':').map(str::trim) {
            let Ok(id) = id.parse() else {
                bail!("For input string: \"{id}\"")
            };
            brokers.push(id);
        }
        let mut twice: Vec<String> = Vec::new();
        for (at, id) in brokers.iter().enumerate() {
            if brokers.iter().take(at).any(|earlier| earlier == id) {
                twice.push(id.to_string());
            }
        }
        twice.dedup();
        if !twice.is_empty() {
            bail!(
                "Partition replica lists may not contain duplicate entries: {}",
                twice.join(",")
            );
        }
        if partitions
            .first()
            .is_some_and(|first| first.len() != brokers.len())
        {
            bail!("Partition {partition} has different replication factor: {brokers:?}");
        }
        partitions.push(brokers);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_by_partition() {
        assert_eq!(parse("1:2, 2:1").unwrap(), [[1, 2], [2, 1]]);
        assert_eq!(parse("1,1").unwrap(), [[1], [1]]);
    }

    #[test]
    fn errors_read_as_kafkas() {
        for (text, want) in [
            (
                "1:1",
                "Partition replica lists may not contain duplicate entries: 1",
            ),
            ("1:2,1", "Partition 1 has different replication factor: [1]"),
            ("a", "For input string: \"a\""),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), want);
        }
    }
}
