//! What can go wrong in Connect, named by what follows from it.
use crate::client::ClientError;

pub type Result<T, E = ConnectError> = std::result::Result<T, E>;

/// A failure in a connector, a converter or the worker.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The configuration of the worker or of a connector cannot be used: nothing is started.
    #[error("{0}")]
    Config(String),
    /// A record cannot be converted: `errors.tolerance` says whether the task goes on.
    #[error("{0}")]
    Data(String),
    /// The task cannot go on.
    #[error("{0}")]
    Task(String),
    /// The offset file, the REST port and what else belongs to the worker.
    #[error("{0}")]
    Worker(String),
    /// There is no connector of that name.
    #[error("Connector {0} not found")]
    NotFound(String),
    /// The cluster refuses or fails.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl ConnectError {
    pub fn config(text: impl Into<String>) -> Self {
        Self::Config(text.into())
    }

    pub fn data(text: impl Into<String>) -> Self {
        Self::Data(text.into())
    }

    pub fn task(text: impl Into<String>) -> Self {
        Self::Task(text.into())
    }

    pub fn worker(text: impl Into<String>) -> Self {
        Self::Worker(text.into())
    }
}
