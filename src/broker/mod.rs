//! One running node: wiring, life cycle, partitions, delayed operations, and `api/` with one file per API.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `node.rs` | the broker itself: what its parts share |
//! | `start.rs`, `storage.rs`, `maintenance.rs` | its way up and down, its directories, its periodic work |
//! | `dispatch.rs`, `context.rs`, `reply.rs` | from a frame to a handler, and back |
//! | `api/` | one file per API |
//! | `partition.rs`, `delayed.rs`, `fetch_session.rs` | hosted partitions, who waits for them, what fetchers have |
//! | `controller_driver.rs`, `publish.rs`, `topic_config.rs` | the thread that owns the metadata log, and what follows from its images |
//! | `coordinators.rs` | the coordinators as the configuration has them |
//! | `coordinator_log.rs`, `producer_ids.rs`, `auto_create.rs`, `internal_topics.rs` | what the coordinators and clients need to be there |
//! | `transactions.rs` | markers, and the verification of what is written in transactions |
//! | `directories.rs`, `full_disk.rs`, `relocation.rs` | log directories at run time: assignment, failure, lack of room, moves |
//! | `quotas/` | what clients may use, what they have used, how long they wait |
//! | `loggers.rs` | the levels of the log, which admins may change |
//! | `errors.rs` | the log's refusals as Kafka's error codes |
//!
//! May use everything below it: coordinator, controller, raft, metadata, net, log, record and the bottom rooms.

mod api;
mod aside;
mod auto_create;
mod cleaner;
mod context;
mod controller_driver;
mod coordinator_log;
mod coordinators;
mod delayed;
mod directories;
mod dispatch;
mod errors;
mod fetch_session;
mod full_disk;
mod group_commit;
mod internal_topics;
pub mod loggers;
mod maintenance;
mod node;
mod partition;
mod producer_ids;
mod publish;
mod quotas;
mod relocation;
mod reply;
mod share;
mod start;
mod storage;
mod throttle;
mod topic_config;
mod transactions;

// The tools judge names and expressions as the broker does.
pub use crate::controller::validate_topic_name;
pub use crate::coordinator::group::compile_regex;
pub use start::{Node, StartError};
