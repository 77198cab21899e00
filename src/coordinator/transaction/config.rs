//! What of a broker's configuration the transaction machine looks at.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transactional.id.expiration.ms`: how long an id that is not used is remembered.
    pub id_expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub expiration_interval_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub timeout_interval_ms: i64,
    /// The finalised `transaction.version`.
    pub version: i16,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        TransactionConfig {
            id_expiration_ms: 7 * 24 * 3600 * 1000,
            expiration_interval_ms: 3600 * 1000,
            timeout_interval_ms: 10_000,
            version: 2,
        }
    }
}
