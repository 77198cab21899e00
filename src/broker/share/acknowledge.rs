//! Acknowledgements, as ShareFetch and ShareAcknowledge bring them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hosted::{ShareError, ShareGroups};
use super::partition::{Acknowledged, GAP, REJECT, RENEW};
use super::sessions::{MemberKey, TopicPartition};
use crate::broker::node::Broker;
use crate::coordinator::share::ShareKey;
use crate::protocol::ErrorCode;

/// What a request acknowledges, by partition.
pub type Batches = BTreeMap<TopicPartition, Vec<Acknowledged>>;
/// How that went.
pub type Outcomes = BTreeMap<TopicPartition, Result<(), ShareError>>;

/// What of acknowledgement types a request may have.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Its version knows renewals.
    pub knows_renewal: bool,
    /// It says that it renews.
    pub renews: bool,
}

/// What can be said of a partition's batches without looking at it.
fn is_valid(batches: &[Acknowledged], allowed: Allowed) -> bool {
    let last_type = match allowed.knows_renewal {
        true => RENEW,
        false => REJECT,
    };
    let mut end = -1;
    batches.iter().all(|batch| {
        let count = batch.last_offset.checked_sub(batch.first_offset);
        let types = i64::try_from(batch.types.len()).unwrap_or(i64::MAX);
        let is_known = |kind: &i8| (GAP..=last_type).contains(kind);
        let fits = batch.first_offset >= end
            && count.is_some_and(|count| count >= 0 && (types == 1 || types - 1 == count))
            && batch.types.iter().all(is_known)
            && (allowed.renews || !batch.types.contains(&RENEW));
        end = batch.last_offset;
        fits
    })
}

/// Acknowledges what is valid of it.
pub async fn acknowledge(
    broker: &Arc<Broker>,
    member: &MemberKey,
    batches: Batches,
    allowed: Allowed,
) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for ((topic_id, partition), batches) in batches {
        let image = broker.image();
        let topic = image.topics.get_by_id(topic_id);
        let outcome = match topic.map(|topic| topic.partitions.contains_key(&partition)) {
            None => Err(ErrorCode::UnknownTopicId.into()),
            Some(_) if !is_valid(&batches, allowed) => Err(ErrorCode::InvalidRequest.into()),
            Some(false) => Err(ErrorCode::UnknownTopicOrPartition.into()),
            Some(true) if batches.is_empty() => Ok(()),
            Some(true) => {
                let key = ShareKey {
                    group: member.group.clone(),
                    topic_id,
                    partition,
                };
                ShareGroups::acknowledge(broker, &key, &member.member, &batches).await
            }
        };
        outcomes.insert((topic_id, partition), outcome);
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first_offset: i64, last_offset: i64, types: &[i8]) -> Acknowledged {
        Acknowledged {
            first_offset,
            last_offset,
            types: types.to_vec(),
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let old = Allowed {
            knows_renewal: false,
            renews: false,
        };
        let valid = |batches: &[Acknowledged]| is_valid(batches, old);
        assert!(valid(&[batch(0, 9, &[1]), batch(10, 11, &[0, 3])]));
        assert!(!valid(&[batch(1, 0, &[1])]), "backwards");
        assert!(
            !valid(&[batch(5, 6, &[1]), batch(3, 4, &[1])]),
            "out of order"
        );
        assert!(!valid(&[batch(0, 1, &[])]), "no type");
        assert!(!valid(&[batch(0, 2, &[1, 1])]), "too few types");
        assert!(!valid(&[batch(0, 0, &[4])]), "unknown to the version");
        assert!(!valid(&[batch(i64::MIN, i64::MAX, &[1])]), "too many");
        assert!(!valid(&[batch(0, i64::MAX, &[1, 1])]), "far too few types");
        let new = Allowed {
            knows_renewal: true,
            ..old
        };
        assert!(!is_valid(&[batch(0, 0, &[4])], new), "does not say so");
        let renewing = Allowed {
            renews: true,
            ..new
        };
        assert!(is_valid(&[batch(0, 0, &[4])], renewing));
    }
}
