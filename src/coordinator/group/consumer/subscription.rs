//! What the members of a group subscribe to together, as it is or as it would be with one member
//! changed: the topics, their metadata's hash, and whether all ask for the same.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::member::ConsumerMember;
use super::state::ConsumerGroup;
use super::topic_hash::{group_hash, topic_hash};
use crate::metadata::image::MetadataImage;
use crate::protocol::Uuid;

/// How many members name a topic, and how many resolved regular expressions match it.
#[derive(Clone, Copy, Default)]
struct Count {
    by_name: usize,
    by_regex: usize,
}

/// The members of a group after a change that is not in the log yet.
pub struct Subscribers<'a> {
    group: &'a ConsumerGroup,
    pub members: Vec<&'a ConsumerMember>,
}

impl<'a> Subscribers<'a> {
    /// The group with `updated` in place of whoever has its id or its instance id.
    pub fn with(group: &'a ConsumerGroup, updated: &'a ConsumerMember) -> Subscribers<'a> {
        let replaced = group.static_member(updated.instance_id.as_deref());
        let replaced = replaced.map(|member| member.id.as_str());
        let stays = |member: &&ConsumerMember| {
            member.id != updated.id && Some(member.id.as_str()) != replaced
        };
        let others = group.members.values().filter(stays);
        Subscribers {
            group,
            members: others.chain([updated]).collect(),
        }
    }

    pub fn without(group: &'a ConsumerGroup, gone: &BTreeSet<String>) -> Subscribers<'a> {
        let stays = |member: &&ConsumerMember| !gone.contains(&member.id);
        Subscribers {
            group,
            members: group.members.values().filter(stays).collect(),
        }
    }

    /// Regular expressions, and how many members use each.
    pub fn regexes(&self) -> BTreeMap<&'a str, usize> {
        let mut regexes = BTreeMap::new();
        for regex in self.members.iter().filter_map(|member| member.regex()) {
            *regexes.entry(regex).or_default() += 1;
        }
        regexes
    }

    fn topics(&self) -> BTreeMap<&'a str, Count> {
        let mut topics: BTreeMap<&str, Count> = BTreeMap::new();
        for name in self.members.iter().flat_map(|member| &member.topic_names) {
            topics.entry(name).or_default().by_name += 1;
        }
        for regex in self.regexes().keys() {
            let resolved = self.group.regexes.get(*regex);
            for name in resolved.into_iter().flat_map(|resolved| &resolved.topics) {
                topics.entry(name).or_default().by_regex += 1;
            }
        }
        topics
    }

    pub fn metadata_hash(&self, image: &MetadataImage) -> i64 {
        metadata_hash(self.topics().into_keys(), image)
    }

    /// Whether all members subscribe to the same topics, as far as Kafka cares to find out.
    pub fn is_homogeneous(&self) -> bool {
        let topics = self.topics();
        let regexes = self.regexes();
        match regexes.values().next() {
            None => topics
                .values()
                .all(|count| count.by_name == self.members.len()),
            Some(users) if *users == self.members.len() => {
                let by_regex_alone = |count: &Count| count.by_regex == 1 && count.by_name == 0;
                topics.values().all(by_regex_alone)
            }
            Some(_) => false,
        }
    }
}

/// The hash of those topics that exist; names in order.
pub fn metadata_hash<'a>(names: impl Iterator<Item = &'a str>, image: &MetadataImage) -> i64 {
    let topics = names.filter_map(|name| image.topics.get(name));
    group_hash(topics.map(|topic| topic_hash(image, topic)))
}

/// The names and the regular expression that a member subscribes with.
type Subscription<'a> = (&'a BTreeSet<String>, Option<&'a str>);

/// Finds the ids of the topics that members subscribe to; members that ask for the same share one
/// set.
pub struct TopicIds<'a> {
    group: &'a ConsumerGroup,
    image: &'a MetadataImage,
    found: BTreeMap<Subscription<'a>, Arc<BTreeSet<Uuid>>>,
}

impl<'a> TopicIds<'a> {
    pub fn new(group: &'a ConsumerGroup, image: &'a MetadataImage) -> TopicIds<'a> {
        TopicIds {
            group,
            image,
            found: BTreeMap::new(),
        }
    }

    pub fn of(&mut self, member: &'a ConsumerMember) -> Arc<BTreeSet<Uuid>> {
        let (group, image) = (self.group, self.image);
        let regex = member.regex();
        let find = || {
            let resolved = regex.and_then(|regex| group.regexes.get(regex));
            let matched = resolved.into_iter().flat_map(|resolved| &resolved.topics);
            let names = member.topic_names.iter().chain(matched);
            Arc::new(names.filter_map(|name| image.topics.id_of(name)).collect())
        };
        let found = self.found.entry((&member.topic_names, regex));
        found.or_insert_with(find).clone()
    }
}
