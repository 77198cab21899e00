//! The log store: segments, indexes, producer state, checkpoints, recovery, retention. Synchronous; knows no network.
