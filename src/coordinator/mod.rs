//! Coordinators: pure state machines whose state is the records of an internal topic, and the
//! driver that persists what they decide.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `shard.rs` | the trait every machine implements: requests in, records and answers out, replay |
//! | `runtime.rs` | the driver: appends, replays, holds answers until they are committed, timers |
//! | `load.rs` | replaying a partition from its first batch to its last |
//! | `group/` | the group machine: classic, consumer, share and streams groups, committed offsets |
//! | `transaction/` | the transaction machine: producers with a transactional id, and their transactions |
//! | `share/` | the share-state machine: what has become of the records that groups share |
//! | `groups.rs`, `streams_groups.rs`, `share_groups.rs`, `share_states.rs`, `transactions.rs` | the coordinators as the broker calls them: one async function per API |
//!
//! Only `runtime.rs` and the coordinators know tokio, locks, clocks and random numbers.
pub mod group;
pub mod groups;
mod load;
pub mod runtime;
pub mod shard;
pub mod share;
mod share_groups;
pub mod share_states;
mod streams_groups;
pub mod transaction;
pub mod transactions;

pub use groups::{GroupCoordinator, RequestContext};
pub use runtime::{Appended, BatchKind, PartitionLog};
pub use shard::{Now, TransactionEnd};
pub use share_states::ShareCoordinator;
pub use transactions::TransactionCoordinator;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
