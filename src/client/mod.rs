//! Asynchronous Kafka client: connections, metadata, admin, producer, consumer. Knows no broker.
