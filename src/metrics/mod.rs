//! One registry of metrics; each room declares its own in one file.
