//! Kafka Connect: worker, herders, REST, converters and the file connectors. Knows the client, never the broker.
