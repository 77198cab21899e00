//! One running node: wiring, life cycle, partitions, delayed operations, and `api/` with one file per API.
