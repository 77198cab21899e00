//! TLS and SASL, as Kafka's settings name them: stores of certificates and keys, login modules, and
//! the client's side of the mechanisms. Nothing here reads from the network.
pub mod jaas;
pub mod oauth_bearer;
pub mod sasl;
pub mod scram;
pub mod tls;
