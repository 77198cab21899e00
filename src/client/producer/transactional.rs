//! A producer's own end of its transactions: what applications call.
use super::Producer;
use super::transactions::{Transactions, Wait};
use crate::client::errors::{ClientError, Result};

impl Producer {
    /// Becomes the one producer of its `transactional.id`: earlier ones are fenced, and what they
    /// left open is aborted. Once, before the first transaction.
    pub async fn init_transactions(&self) -> Result<()> {
        let wait = self.patience();
        self.transactions()?.init_first(&self.client, &wait).await
    }

    pub fn begin_transaction(&self) -> Result<()> {
        self.transactions()?.begin()
    }

    /// Waits until everything in the transaction is stored, and commits it, within `max.block.ms`.
    /// If anything was not stored, that is the error, and the transaction is to be aborted. After a
    /// [`ClientError::Timeout`] it may be called again: nothing else tells how it ended.
    pub async fn commit_transaction(&self) -> Result<()> {
        self.end_transaction(true).await
    }

    /// Gives up what is in the transaction.
    pub async fn abort_transaction(&self) -> Result<()> {
        self.end_transaction(false).await
    }

    async fn end_transaction(&self, committed: bool) -> Result<()> {
        let transactions = self.transactions()?;
        let wait = self.patience();
        transactions.begin_end(committed)?;
        let settled = tokio::time::timeout_at(wait.deadline, self.accumulator.flush()).await;
        if settled.is_err() {
            return Err(wait.timed("EndTxn", ClientError::timeout("")));
        }
        transactions.end(&self.client, &wait, committed).await
    }

    /// Ends what a producer that closes has left open.
    pub(super) async fn end_open_transaction(&self) {
        let Some(transactions) = &self.transactions else {
            return;
        };
        if self.client.cancelled().is_cancelled() || !transactions.is_open() {
            return;
        }
        tracing::info!("aborting the open transaction of {}", transactions.id);

        if let Err(error) = self.abort_transaction().await {
            tracing::warn!(
                "the open transaction of {} was left to its timeout: {error}",
                transactions.id
            );
        }
    }

    fn transactions(&self) -> Result<&Transactions> {
        self.transactions.as_deref().ok_or_else(|| {
            ClientError::illegal_state(
                "Cannot use transactional methods without enabling transactions by setting the \
                 transactional.id configuration property",
            )
        })
    }

    fn patience(&self) -> Wait {
        Wait::of(self.accumulator.config.block_max)
    }
}
