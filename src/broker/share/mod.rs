//! Share groups in a broker (KIP-932): sessions of members, and the partitions that groups share.
//! Which groups there are and who may have which partition is the group coordinator's matter; what
//! has become of records is remembered by the share coordinator.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `partition.rs`, `partition/` | the share-partition machine: acquisition, acknowledgement, time-outs |
//! | `sessions.rs` | share sessions |
//! | `hosted.rs` | share partitions as the broker has them: loading, writing, waiting, deadlines |
//! | `fetch.rs` | one pass over the partitions of a fetch |
//! | `acknowledge.rs` | acknowledgements, as both APIs bring them |
//! | `states.rs` | what the coordinators have each other do: states begun, forgotten, looked up |
//! | `settings.rs`, `setup.rs` | what holds for a group; what the file says |

pub mod acknowledge;
pub mod fetch;
pub mod hosted;
pub mod partition;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod states;

pub use hosted::ShareGroups;
