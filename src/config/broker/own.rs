//! Keys of a `server.properties` that Apache Kafka does not have. It takes no notice of them, so that a file with them
//! starts either.
use crate::config::definition::{ConfigKey, boolean};

#[rustfmt::skip]
pub(in crate::config) const KEYS: &[ConfigKey] = &[
    boolean(GROUP_COMMIT).default("false").active("Whether records count as committed only once they are on the device: acks=all is answered after fsync, one fsync for all that wait for a log."),
];

pub const GROUP_COMMIT: &str = "kafkars.group.commit";
