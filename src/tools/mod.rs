//! One file per `bin/` tool: its options, what it asks of a cluster, what it prints.
