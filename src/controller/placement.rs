//! Which brokers get the replicas of new partitions: striped over racks and, within a rack, over
//! brokers, so that leaders and followers spread evenly.
//!
//! Each next partition starts one rack and one broker further. Unfenced brokers come first; a
//! fenced one never leads. With one broker everything is on it.

use std::collections::BTreeMap;

use super::ApiError;
use crate::metadata::image::ClusterImage;
use crate::protocol::{ErrorCode, Uuid};

/// A source of random numbers.
pub type Random<'a> = dyn FnMut() -> u128 + 'a;

/// The replicas of `partitions` new partitions, in order.
pub fn place(
    cluster: &ClusterImage,
    partitions: usize,
    replication_factor: i32,
    random: &mut Random<'_>,
) -> Result<Vec<Vec<i32>>, ApiError> {
    let mut racks = Racks::new(cluster, random);
    let refuse = |problem: String| {
        let message =
            format!("Unable to replicate the partition {replication_factor} time(s): {problem}");
        Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message))
    };
    let Some(replicas) = usize::try_from(replication_factor)
        .ok()
        .filter(|count| *count > 0)
    else {
        return refuse(format!(
            "Invalid replication factor {replication_factor}: the replication factor must be \
             positive."
        ));
    };
    if racks.unfenced == 0 {
        return refuse(
            "All brokers are currently fenced, or have all their log directories cordoned."
                .to_owned(),
        );
    }
    if replicas > racks.total {
        return refuse(format!(
            "The target replication factor of {replication_factor} cannot be reached because only \
             {} broker(s) are registered or some brokers have all their log directories cordoned.",
            racks.total
        ));
    }
    Ok((0..partitions)
        .map(|_| racks.next(replicas, random))
        .collect())
}

/// The directory of a new replica: the broker's only one, else the broker will choose.
pub fn default_directory(cluster: &ClusterImage, broker: i32) -> Uuid {
    const MIGRATING: Uuid = Uuid::from_u128(0);
    const UNASSIGNED: Uuid = Uuid::from_u128(1);
    match cluster.broker(broker).map(|broker| &*broker.log_dirs) {
        None => UNASSIGNED,
        Some([]) => MIGRATING,
        Some([only]) => *only,
        Some(_) => UNASSIGNED,
    }
}

/// Brokers to go through from a start that moves on with every partition.
#[derive(Default)]
struct Ring {
    brokers: Vec<i32>,
    taken: usize,
    offset: usize,
    epoch: usize,
}

impl Ring {
    fn next(&mut self, epoch: usize) -> Option<i32> {
        if self.brokers.is_empty() {
            return None;
        }
        if self.epoch != epoch {
            self.epoch = epoch;
            self.taken = 0;
            self.offset = (self.offset + 1) % self.brokers.len();
        }
        if self.taken == self.brokers.len() {
            return None;
        }
        self.taken += 1;
        self.brokers
            .get((self.taken - 1 + self.offset) % self.brokers.len())
            .copied()
    }
}

#[derive(Default)]
struct Rack {
    unfenced: Ring,
    fenced: Ring,
}

impl Rack {
    fn next(&mut self, epoch: usize) -> Option<i32> {
        self.unfenced
            .next(epoch)
            .or_else(|| self.fenced.next(epoch))
    }
}

struct Racks {
    racks: Vec<Rack>,
    total: usize,
    unfenced: usize,
    epoch: usize,
    offset: usize,
}

impl Racks {
    fn new(cluster: &ClusterImage, random: &mut Random<'_>) -> Racks {
        let mut by_name: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let (mut total, mut unfenced) = (0, 0);
        let usable = |cordoned: &Option<Vec<Uuid>>, dirs: &[Uuid]| {
            dirs.is_empty()
                || dirs
                    .iter()
                    .any(|dir| !cordoned.iter().flatten().any(|c| c == dir))
        };
        for broker in cluster.brokers.values() {
            if broker.in_controlled_shutdown || !usable(&broker.cordoned_log_dirs, &broker.log_dirs)
            {
                continue;
            }
            let rack = by_name.entry(broker.rack.as_deref()).or_default();
            total += 1;
            if broker.fenced {
                rack.fenced.brokers.push(broker.broker_id);
            } else {
                unfenced += 1;
                rack.unfenced.brokers.push(broker.broker_id);
            }
        }
        let mut racks: Vec<Rack> = by_name.into_values().collect();
        for rack in &mut racks {
            rack.unfenced.offset = below(rack.unfenced.brokers.len(), random);
            rack.fenced.offset = below(rack.fenced.brokers.len(), random);
        }
        let offset = below(racks.len(), random);
        Racks {
            racks,
            total,
            unfenced,
            epoch: 0,
            offset,
        }
    }

    /// The replicas of one more partition. There are at least `replicas` brokers, one unfenced.
    fn next(&mut self, replicas: usize, random: &mut Random<'_>) -> Vec<i32> {
        // Every broker has led as often as the others: shuffle, so that pairs do not repeat.
        if self.epoch == self.unfenced && self.unfenced > 1 {
            shuffle(&mut self.racks, random);
            for rack in &mut self.racks {
                shuffle(&mut rack.unfenced.brokers, random);
                shuffle(&mut rack.fenced.brokers, random);
            }
            self.epoch = 0;
        }
        let (count, epoch) = (self.racks.len(), self.epoch);
        let start = self.offset % count;
        let mut placed = Vec::with_capacity(replicas);
        let order = || (start..count).chain(0..start);
        let mut leader_rack = None;
        for index in order() {
            if let Some(leader) = self
                .racks
                .get_mut(index)
                .and_then(|r| r.unfenced.next(epoch))
            {
                placed.push(leader);
                leader_rack = Some(index);
                break;
            }
        }
        // On the first round the leader's rack has had its turn.
        for index in order().cycle().take(count * (self.total + 1)) {
            if placed.len() >= replicas {
                break;
            }
            if leader_rack == Some(index) {
                leader_rack = None;
                continue;
            }
            placed.extend(self.racks.get_mut(index).and_then(|rack| rack.next(epoch)));
        }
        self.epoch += 1;
        self.offset += 1;
        placed
    }
}

fn below(limit: usize, random: &mut Random<'_>) -> usize {
    match limit {
        0 => 0,
        _ => (random() % limit as u128) as usize,
    }
}

fn shuffle<T>(items: &mut [T], random: &mut Random<'_>) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, random));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::image::BrokerRegistration;

    fn cluster(brokers: &[(i32, Option<&str>, bool)]) -> ClusterImage {
        let registration = |(id, rack, fenced): &(i32, Option<&str>, bool)| {
            let broker = BrokerRegistration {
                broker_id: *id,
                rack: rack.map(str::to_owned),
                fenced: *fenced,
                ..Default::default()
            };
            (*id, broker)
        };
        ClusterImage {
            brokers: brokers.iter().map(registration).collect(),
            ..ClusterImage::default()
        }
    }

    fn placed(brokers: &[(i32, Option<&str>, bool)], count: usize, factor: i32) -> Vec<Vec<i32>> {
        place(&cluster(brokers), count, factor, &mut || 0).unwrap()
    }

    #[test]
    fn one_broker_gets_everything() {
        assert_eq!(placed(&[(1, None, false)], 3, 1), [[1], [1], [1]]);
    }

    #[test]
    fn leaders_go_round_racks_and_brokers() {
        let nine: Vec<_> = ["A", "B", "C"]
            .iter()
            .enumerate()
            .flat_map(|(rack, name)| {
                (0..3).map(move |n| (rack as i32 * 10 + n, Some(*name), false))
            })
            .collect();
        assert_eq!(placed(&nine, 3, 3), [[0, 10, 20], [11, 21, 1], [22, 2, 12]]);
    }

    #[test]
    fn a_fenced_broker_follows_but_never_leads() {
        let brokers = [(1, None, true), (2, None, false), (3, None, true)];
        for replicas in placed(&brokers, 4, 3) {
            assert_eq!(replicas[0], 2);
            assert_eq!(replicas.len(), 3);
        }
    }

    #[test]
    fn too_few_brokers_are_named_in_kafkas_words() {
        let error = |brokers: &[(i32, Option<&str>, bool)], factor| {
            place(&cluster(brokers), 1, factor, &mut || 0)
                .unwrap_err()
                .message
                .unwrap()
        };
        assert_eq!(
            error(&[(1, None, false)], 3),
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 \
             cannot be reached because only 1 broker(s) are registered or some brokers have all \
             their log directories cordoned."
        );
        assert_eq!(
            error(&[(1, None, true)], 1),
            "Unable to replicate the partition 1 time(s): All brokers are currently fenced, or \
             have all their log directories cordoned."
        );
    }
}
