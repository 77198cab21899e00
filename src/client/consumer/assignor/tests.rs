//! Assignments compared whole; the expected ones were made by Kafka's own assignors.
use proptest::prelude::*;

use super::*;

/// Members as `id: topics`, e.g. `a: t0 t1`; owned partitions after `|`.
fn members(lines: &[&str]) -> Members {
    let partition = |text: &str| {
        let (topic, index) = text.rsplit_once('-').unwrap();
        TopicPartition::new(topic, index.parse().unwrap())
    };
    let member = |line: &&str| {
        let (id, rest) = line.split_once(':').unwrap();
        let (topics, owned) = rest.split_once('|').unwrap_or((rest, ""));
        let member = MemberSubscription {
            group_instance_id: id.strip_prefix("static-").map(str::to_owned),
            topics: topics.split_whitespace().map(Into::into).collect(),
            owned: owned.split_whitespace().map(partition).collect(),
            generation: if owned.is_empty() { -1 } else { 1 },
        };
        (id.to_owned(), member)
    };
    let mut members: Members = lines.iter().map(member).collect();
    if members.values().any(|member| member.generation == 1) {
        members
            .values_mut()
            .for_each(|member| member.generation = 1);
    }
    members
}

fn counts(topics: &[(&str, usize)]) -> BTreeMap<Arc<str>, usize> {
    topics
        .iter()
        .map(|(topic, count)| ((*topic).into(), *count))
        .collect()
}

fn check(kind: AssignorKind, lines: &[&str], topics: &[(&str, usize)], expected: &[&str]) {
    let assigned = kind.assign(&members(lines), &counts(topics));
    let brief: Vec<String> = assigned
        .iter()
        .map(|(id, partitions)| {
            let mut names: Vec<_> = partitions.iter().map(ToString::to_string).collect();
            names.sort();
            format!("{id}: {}", names.join(" "))
        })
        .collect();
    assert_eq!(brief, expected, "{kind:?}");
}

#[test]
fn range_gives_neighbours() {
    check(
        AssignorKind::Range,
        &["a: t0 t1", "b: t0 t1"],
        &[("t0", 3), ("t1", 3)],
        &["a: t0-0 t0-1 t1-0 t1-1", "b: t0-2 t1-2"],
    );
    check(
        AssignorKind::Range,
        &["a: t0", "b: t0 t1", "c: t0 gone"],
        &[("t0", 1), ("t1", 2)],
        &["a: t0-0", "b: t1-0 t1-1", "c: "],
    );
    // Static members come first, whatever their member ids are.
    check(
        AssignorKind::Range,
        &["a: t0", "static-z: t0"],
        &[("t0", 3)],
        &["a: t0-2", "static-z: t0-0 t0-1"],
    );
}

#[test]
fn round_robin_takes_turns() {
    check(
        AssignorKind::RoundRobin,
        &["a: t0 t1", "b: t0 t1"],
        &[("t0", 3), ("t1", 3)],
        &["a: t0-0 t0-2 t1-1", "b: t0-1 t1-0 t1-2"],
    );
    check(
        AssignorKind::RoundRobin,
        &["a: t0", "b: t0 t1", "c: t0 t1 t2"],
        &[("t0", 1), ("t1", 2), ("t2", 3)],
        &["a: t0-0", "b: t1-0", "c: t1-1 t2-0 t2-1 t2-2"],
    );
}

#[test]
fn sticky_moves_only_what_evens_out() {
    check(
        AssignorKind::Sticky,
        &["a: t", "b: t"],
        &[("t", 3)],
        &["a: t-0 t-2", "b: t-1"],
    );
    check(
        AssignorKind::Sticky,
        &["a: t | t-0 t-2", "b: t | t-1 t-3", "c: t"],
        &[("t", 4)],
        &["a: t-0 t-2", "b: t-1", "c: t-3"],
    );
    check(
        AssignorKind::Sticky,
        &["a: t | t-0", "b: t | t-1", "c: t | t-2"],
        &[("t", 3)],
        &["a: t-0", "b: t-1", "c: t-2"],
    );
}

#[test]
fn cooperative_sticky_withholds_what_moves() {
    check(
        AssignorKind::CooperativeSticky,
        &["a: t | t-0 t-2", "b: t | t-1 t-3", "c: t"],
        &[("t", 4)],
        &["a: t-0 t-2", "b: t-1", "c: "],
    );
    check(
        AssignorKind::CooperativeSticky,
        &["a: t | t-0 t-2", "b: t | t-1", "c: t"],
        &[("t", 4)],
        &["a: t-0 t-2", "b: t-1", "c: t-3"],
    );
}

#[test]
fn cooperative_sticky_spreads_several_topics() {
    check(
        AssignorKind::CooperativeSticky,
        &["a: t0 t1", "b: t0 t1", "c: t0 t1", "d: t0 t1", "e: t0 t1"],
        &[("t0", 7), ("t1", 5)],
        &[
            "a: t0-0 t0-5 t1-3",
            "b: t0-1 t0-6 t1-4",
            "c: t0-2 t1-0",
            "d: t0-3 t1-1",
            "e: t0-4 t1-2",
        ],
    );
}

#[test]
fn a_partition_claimed_twice_belongs_to_nobody() {
    check(
        AssignorKind::Sticky,
        &["a: t | t-0", "b: t | t-0"],
        &[("t", 2)],
        &["a: t-0", "b: t-1"],
    );
    check(
        AssignorKind::CooperativeSticky,
        &["a: t | t-0", "b: t | t-0"],
        &[("t", 2)],
        &["a: ", "b: t-1"],
    );
}

proptest! {
    #[test]
    fn every_partition_goes_to_one_subscriber_and_loads_are_even(
        subscriptions in proptest::collection::vec(1u8..8, 1..6),
        sizes in proptest::collection::vec(1usize..7, 3),
        rounds in 1usize..3,
    ) {
        let names: Vec<Arc<str>> = (0..3).map(|n| format!("t{n}").into()).collect();
        let counts: BTreeMap<_, _> = names.iter().cloned().zip(sizes.iter().copied()).collect();
        let mut group: Members = subscriptions.iter().enumerate().map(|(n, bits)| {
            let topics = (0..3).filter(|bit| bits & (1 << bit) != 0).map(|bit| names[bit].clone());
            let member = MemberSubscription { topics: topics.collect(), generation: -1, ..Default::default() };
            (format!("m{n}"), member)
        }).collect();
        for kind in [AssignorKind::Range, AssignorKind::RoundRobin, AssignorKind::Sticky] {
            for _ in 0..rounds {
                let assigned = kind.assign(&group, &counts);
                let mut seen = BTreeSet::new();
                for (id, partitions) in &assigned {
                    for partition in partitions {
                        prop_assert!(group[id].topics.contains(&partition.topic));
                        prop_assert!(seen.insert(partition.clone()), "{partition} twice");
                    }
                }
                let expected: usize = topics(&group, &counts).values().sum();
                prop_assert_eq!(seen.len(), expected);
                let same = group.values().all(|member| member.topics == group["m0"].topics);
                if kind == AssignorKind::Sticky && same {
                    let loads = assigned.values().map(Vec::len);
                    prop_assert!(loads.clone().max().unwrap() - loads.min().unwrap() <= 1);
                }
                // In the next round one member is gone, and the others own what they got.
                for (id, partitions) in assigned {
                    let member = group.get_mut(&id).unwrap();
                    (member.owned, member.generation) = (partitions, 1);
                }
                if group.len() > 1 && kind == AssignorKind::Sticky {
                    group.pop_last();
                }
            }
        }
    }
}
