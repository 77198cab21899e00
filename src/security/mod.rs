//! SASL mechanisms, TLS set-up, principals. Empty until a listener other than PLAINTEXT is supported.
