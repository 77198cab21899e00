//! Herders: which connectors there are and what state they are in.
mod standalone;
mod status;

pub use standalone::{ConnectorInfo, StandaloneHerder};
pub use status::{ConnectorStatus, State, TaskStatus};
