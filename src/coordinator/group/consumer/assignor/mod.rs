//! Server-side assignors: who is to own which partition. Pure functions of a group's members, what
//! they owned before, and the sizes of their topics.
mod balancer;
mod range;
mod uniform;
mod uniform_mixed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::member::Partitions;
use crate::protocol::Uuid;

/// The assignors of `group.consumer.assignors` that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    Uniform,
    Range,
}

impl Assignor {
    pub fn by_name(name: &str) -> Option<Assignor> {
        match name {
            "uniform" => Some(Assignor::Uniform),
            "range" => Some(Assignor::Range),
            _ => None,
        }
    }

    /// Every member's partitions; members without an entry get none.
    pub fn assign(self, group: &GroupSpec) -> BTreeMap<String, Partitions> {
        if group.members.is_empty() {
            return BTreeMap::new();
        }
        match (self, group.is_homogeneous) {
            (Assignor::Range, _) => range::assign(group),
            (Assignor::Uniform, true) => uniform::assign(group),
            (Assignor::Uniform, false) => uniform_mixed::assign(group),
        }
    }
}

/// A member as assignors see it. All topics exist.
#[derive(Clone, Debug)]
pub struct MemberSpec {
    pub instance_id: Option<String>,
    pub topics: Arc<BTreeSet<Uuid>>,
    /// Its last target assignment.
    pub assigned: Partitions,
}

#[derive(Clone, Debug)]
pub struct GroupSpec {
    pub members: BTreeMap<String, MemberSpec>,
    /// All members subscribe to the same topics.
    pub is_homogeneous: bool,
    pub partition_counts: BTreeMap<Uuid, i32>,
}

impl GroupSpec {
    fn partition_count(&self, topic: &Uuid) -> i32 {
        self.partition_counts.get(topic).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
