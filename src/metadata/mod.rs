//! The immutable image that KRaft records add up to, its deltas and snapshots.
