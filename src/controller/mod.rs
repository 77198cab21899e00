//! Pure state machine: requests in, metadata records out. No I/O, no clock, no locks.
