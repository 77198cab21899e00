//! Random heartbeats, lost answers, leaves, restarts and clock jumps. After every step the shard's
//! invariants hold (one owner per partition among them); when members go on, the group settles.
use super::consumer::{Consumer, HEARTBEAT_MS};
use super::context::*;
use crate::coordinator::group::GroupConfig;
use crate::coordinator::histories;
use crate::protocol::ErrorCode;
use crate::protocol::messages::ConsumerGroupHeartbeatRequest;

const PARTITIONS: usize = 7;
const STEPS: u64 = 6_000;
const STEPS_PER_ROUND: u64 = 150;

fn play(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut context = Context::with_topics(GroupConfig::default(), &[("t", PARTITIONS)]);
    let mut consumers: Vec<Consumer> = (0..4)
        .map(|n| Consumer::new(&format!("m{n}"), &["t"]))
        .collect();
    consumers[3].instance_id = Some("i".into());
    let mut committed = -1;
    for step in 0..STEPS_PER_ROUND {
        let consumer = random.usize(0..consumers.len());
        let consumer = &mut consumers[consumer];
        match random.u8(0..20) {
            // The answer is lost.
            0..=2 => {
                context.beat_with(consumer.request());
                consumer.says_all = true;
            }
            3 if consumer.epoch > 0 => {
                let leave = ConsumerGroupHeartbeatRequest {
                    member_epoch: if consumer.instance_id.is_some() {
                        -2
                    } else {
                        -1
                    },
                    ..consumer.request()
                };
                context.beat_with(leave);
                *consumer = Consumer {
                    epoch: 0,
                    owned: Default::default(),
                    ..consumer.clone()
                };
            }
            4 => context.restart(),
            5 => context.sleep(random.i64(0..60_000)),
            6 => context.now.wall_ms += random.i64(-100_000..100_000),
            7 if consumer.epoch > 0 => {
                let offset = i64::try_from(step).unwrap_or(0);
                if context.commit(&consumer.id, consumer.epoch, offset) == ErrorCode::None {
                    committed = offset;
                }
            }
            _ => {
                context.beat(consumer);
                context.sleep(random.i64(0..3_000));
            }
        }
        assert_eq!(
            context.offset(),
            committed,
            "seed {seed} step {step}: an acknowledged commit"
        );
    }
    for _ in 0..30 {
        context.sleep(HEARTBEAT_MS);
        consumers
            .iter_mut()
            .for_each(|consumer| drop(context.beat(consumer)));
    }
    assert_eq!(context.consumer_group().state(), "Stable", "seed {seed}");
    let owned: usize = consumers.iter().map(Consumer::owned_count).sum();
    assert_eq!(owned, PARTITIONS, "seed {seed}: {consumers:?}");
}

#[test]
fn random_groups_keep_one_owner_and_settle() {
    histories::play(STEPS, STEPS_PER_ROUND, play);
}
