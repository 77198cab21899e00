//! What Kafka's assignors promise: balance, and within that stickiness. `range` is checked to the
//! partition.
use super::*;

const A: Uuid = Uuid::from_u128(1);
const B: Uuid = Uuid::from_u128(2);
const C: Uuid = Uuid::from_u128(3);

fn group(sizes: &[(Uuid, i32)], members: &[(&str, &[Uuid])]) -> GroupSpec {
    let first = members.first().map(|(_, topics)| topics);
    let spec = |topics: &&[Uuid]| MemberSpec {
        instance_id: None,
        topics: Arc::new(topics.iter().copied().collect()),
        assigned: Partitions::new(),
    };
    GroupSpec {
        is_homogeneous: members.iter().all(|(_, topics)| Some(topics) == first),
        members: members
            .iter()
            .map(|(id, t)| (id.to_string(), spec(t)))
            .collect(),
        partition_counts: sizes.iter().copied().collect(),
    }
}

fn sizes(assignment: &BTreeMap<String, Partitions>) -> Vec<usize> {
    let size = |own: &Partitions| own.values().map(BTreeSet::len).sum();
    assignment.values().map(size).collect()
}

/// Each partition that somebody subscribes to has one owner, who subscribes to it.
fn check_whole(group: &GroupSpec, assignment: &BTreeMap<String, Partitions>) {
    let mut owned = BTreeSet::new();
    for (id, own) in assignment {
        for (topic, partitions) in own {
            assert!(group.members[id].topics.contains(topic));
            for partition in partitions {
                assert!(
                    owned.insert((*topic, *partition)),
                    "{topic}-{partition} twice"
                );
            }
        }
    }
    let topics: BTreeSet<Uuid> = group
        .members
        .values()
        .flat_map(|member| member.topics.iter().copied())
        .collect();
    let all: i32 = topics
        .iter()
        .map(|topic| group.partition_count(topic))
        .sum();
    assert_eq!(owned.len(), all as usize);
}

fn reassign(group: &mut GroupSpec, assignment: &BTreeMap<String, Partitions>) {
    for (id, member) in &mut group.members {
        member.assigned = assignment.get(id).cloned().unwrap_or_default();
    }
}

/// How many partitions stay with their owner.
fn kept(before: &BTreeMap<String, Partitions>, after: &BTreeMap<String, Partitions>) -> usize {
    let of = |id: &String, own: &Partitions| -> usize {
        let same = |(topic, set): (&Uuid, &BTreeSet<i32>)| {
            let now = after.get(id).and_then(|now| now.get(topic));
            now.map_or(0, |now| now.intersection(set).count())
        };
        own.iter().map(same).sum()
    };
    before.iter().map(|(id, own)| of(id, own)).sum()
}

#[test]
fn range_gives_runs_and_the_rest_to_the_first() {
    let mut spec = group(
        &[(A, 7), (B, 3)],
        &[("m1", &[A, B]), ("m2", &[A, B]), ("m3", &[A])],
    );
    let range = |from: i32, to: i32| (from..to).collect::<BTreeSet<i32>>();
    let assignment = Assignor::Range.assign(&spec);
    assert_eq!(
        assignment["m1"],
        Partitions::from([(A, range(0, 3)), (B, range(0, 2))])
    );
    assert_eq!(
        assignment["m2"],
        Partitions::from([(A, range(3, 5)), (B, range(2, 3))])
    );
    assert_eq!(assignment["m3"], Partitions::from([(A, range(5, 7))]));
    // Static members are ranked first, by their instance ids.
    spec.members.get_mut("m3").unwrap().instance_id = Some("i".into());
    assert_eq!(
        Assignor::Range.assign(&spec)["m3"],
        Partitions::from([(A, range(0, 3))])
    );
}

#[test]
fn uniform_is_balanced_and_sticky() {
    let mut spec = group(
        &[(A, 7), (B, 4)],
        &[("m1", &[A, B]), ("m2", &[A, B]), ("m3", &[A, B])],
    );
    let first = Assignor::Uniform.assign(&spec);
    check_whole(&spec, &first);
    // Those that come last get the extra partitions, if they had none before.
    assert_eq!(sizes(&first), [3, 4, 4]);
    reassign(&mut spec, &first);
    assert_eq!(Assignor::Uniform.assign(&spec), first, "nothing to move");

    // One more member takes what it needs and nothing else moves.
    let newcomer = MemberSpec {
        assigned: Partitions::new(),
        ..spec.members["m1"].clone()
    };
    spec.members.insert("m0".into(), newcomer);
    let second = Assignor::Uniform.assign(&spec);
    check_whole(&spec, &second);
    assert_eq!(sizes(&second).iter().max(), Some(&3));
    assert_eq!(kept(&first, &second), 9, "of 11, with 2 to the newcomer");
}

#[test]
fn uniform_of_mixed_subscriptions_is_balanced_and_sticky() {
    let members: [(&str, &[Uuid]); 3] = [("m1", &[A, B]), ("m2", &[B, C]), ("m3", &[C])];
    let mut spec = group(&[(A, 2), (B, 6), (C, 4)], &members);
    let first = Assignor::Uniform.assign(&spec);
    check_whole(&spec, &first);
    assert_eq!(sizes(&first), [4, 4, 4]);
    reassign(&mut spec, &first);
    assert_eq!(Assignor::Uniform.assign(&spec), first, "nothing to move");
    // The topics of one member are gone from its subscription: others take them.
    spec.members.get_mut("m2").unwrap().topics = Arc::new(BTreeSet::from([C]));
    let second = Assignor::Uniform.assign(&spec);
    check_whole(&spec, &second);
    assert_eq!(sizes(&second), [8, 2, 2]);
}

#[test]
fn random_groups_are_whole_balanced_and_settled() {
    for seed in 0..300u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let topics: Vec<(Uuid, i32)> = (1..=random.u128(1..6))
            .map(|id| (Uuid::from_u128(id), random.i32(0..12)))
            .collect();
        let all: Vec<Uuid> = topics.iter().map(|(id, _)| *id).collect();
        let mixed = random.bool();
        let mut spec = group(&topics, &[]);
        for index in 0..random.usize(1..8) {
            let some = all
                .iter()
                .copied()
                .filter(|_| !mixed || random.bool())
                .collect();
            let member = MemberSpec {
                instance_id: random.bool().then(|| format!("i{}", random.u8(..))),
                topics: Arc::new(some),
                assigned: Partitions::new(),
            };
            spec.members.insert(format!("m{index}"), member);
        }
        spec.is_homogeneous = !mixed;
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let first = assignor.assign(&spec);
            check_whole(&spec, &first);
            let mut again = spec.clone();
            reassign(&mut again, &first);
            assert_eq!(
                assignor.assign(&again),
                first,
                "seed {seed} {assignor:?} moves again"
            );
            if assignor == Assignor::Uniform && !mixed {
                let sizes = sizes(&first);
                assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            }
        }
    }
}
