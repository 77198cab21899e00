//! The transaction coordinator as the broker calls it: one async function per API. What is checked
//! before a request reaches a shard is checked here.
//!
//! Producer ids come from outside: a request that needs one is asked again with it.
use std::sync::Arc;
use std::sync::atomic::{AtomicI16, Ordering};

use regex::Regex;
use tokio::task::JoinHandle;

use super::groups::partition_for;
use super::runtime::{LoadError, PartitionLog, Runtime, RuntimeConfig};
use super::transaction::{
    Effect, Ended, InitProducerId, ListFilter, Markers, Partitions, PartitionsOf,
    ProducerIdAndEpoch, TransactionConfig, TransactionReply, TransactionRequest, TransactionShard,
    TransactionState,
};
use crate::protocol::ErrorCode;
use crate::protocol::messages::{
    ListTransactionsRequest, ListTransactionsResponse, describe_transactions_response,
};

pub struct TransactionCoordinator<L: PartitionLog> {
    runtime: Arc<Runtime<TransactionShard, L>>,
    /// `transaction.max.timeout.ms`
    timeout_max_ms: i32,
    /// The finalised `transaction.version`, for shards that are loaded later.
    version: Arc<AtomicI16>,
    partition_count: i32,
}

impl<L: PartitionLog> TransactionCoordinator<L> {
    /// `partition_count`: of `__transaction_state`, as it is or will be. `on_effect` is called with
    /// a partition and what follows from its decisions; it must not wait, nor call back.
    pub fn new(
        log: L,
        config: TransactionConfig,
        timeout_max_ms: i32,
        partition_count: i32,
        on_effect: impl Fn(i32, Effect) + Send + Sync + 'static,
    ) -> TransactionCoordinator<L> {
        let version = Arc::new(AtomicI16::new(config.version));
        let version_now = version.clone();
        let new_shard = move || {
            TransactionShard::new(TransactionConfig {
                version: version_now.load(Ordering::SeqCst),
                ..config.clone()
            })
        };
        TransactionCoordinator {
            runtime: Runtime::new(log, RuntimeConfig::default(), new_shard, on_effect),
            timeout_max_ms,
            version,
            partition_count: partition_count.max(1),
        }
    }

    /// The partition of `__transaction_state` that holds the transactional id.
    pub fn partition_for(&self, transactional_id: &str) -> i32 {
        partition_for(transactional_id, self.partition_count)
    }

    /// This broker leads the partition. See [`Runtime::load`].
    pub fn load(&self, partition: i32) -> JoinHandle<Result<(), LoadError>> {
        self.runtime.load(partition)
    }

    /// This broker leads the partition no more.
    pub fn unload(&self, partition: i32) {
        self.runtime.unload(partition);
    }

    /// The high watermark of the partition has moved.
    pub fn high_watermark_advanced(&self, partition: i32) {
        self.runtime.high_watermark_advanced(partition);
    }

    /// Time-outs and expiry. Runs until [`Self::close`]; spawn it once.
    pub fn run_timers(&self) -> impl Future<Output = ()> + Send + 'static {
        self.runtime.clone().run_timers()
    }

    pub fn close(&self) {
        self.runtime.close();
    }

    /// The finalised `transaction.version` has changed.
    pub async fn set_version(&self, version: i16) {
        if self.version.swap(version, Ordering::SeqCst) == version {
            return;
        }
        for partition in self.runtime.partitions() {
            let call = TransactionRequest::TransactionVersion(version);
            // One that is loading takes it from here.
            let _ = self.runtime.call(partition, call).await;
        }
    }

    async fn ask(
        &self,
        transactional_id: &str,
        request: TransactionRequest,
    ) -> Result<TransactionReply, ErrorCode> {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let partition = self.partition_for(transactional_id);
        self.runtime.call(partition, request).await
    }

    pub async fn init_producer_id<F>(
        &self,
        mut request: InitProducerId,
        fresh_id: impl FnOnce() -> F + Send,
    ) -> Result<ProducerIdAndEpoch, ErrorCode>
    where
        F: Future<Output = Result<i64, ErrorCode>> + Send,
    {
        if request.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        if request.timeout_ms <= 0 || request.timeout_ms > self.timeout_max_ms {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let id = request.transactional_id.clone();
        let call = TransactionRequest::InitProducerId(request.clone());
        let mut reply = self.ask(&id, call).await?;
        if reply == TransactionReply::NeedsProducerId {
            request.fresh = Some(fresh_id().await?);
            let call = TransactionRequest::InitProducerId(request);
            reply = self.ask(&id, call).await?;
        }
        match reply {
            TransactionReply::Initialized(result) => result,
            _ => Err(ErrorCode::UnknownServerError),
        }
    }

    pub async fn add_partitions(&self, request: PartitionsOf) -> Result<(), ErrorCode> {
        let id = request.transactional_id.clone();
        let call = TransactionRequest::AddPartitions(request);
        match self.ask(&id, call).await? {
            TransactionReply::Added(ErrorCode::None) => Ok(()),
            TransactionReply::Added(error) => Err(error),
            _ => Err(ErrorCode::UnknownServerError),
        }
    }

    /// The partitions that are in the producer's transaction.
    pub async fn partitions_of(&self, request: PartitionsOf) -> Result<Partitions, ErrorCode> {
        let id = request.transactional_id.clone();
        let call = TransactionRequest::VerifyPartitions(request);
        match self.ask(&id, call).await? {
            TransactionReply::InTransaction(result) => result,
            _ => Err(ErrorCode::UnknownServerError),
        }
    }

    /// What the producer goes on with.
    pub async fn end_transaction<F>(
        &self,
        mut request: Ended,
        fresh_id: impl FnOnce() -> F + Send,
    ) -> Result<ProducerIdAndEpoch, ErrorCode>
    where
        F: Future<Output = Result<i64, ErrorCode>> + Send,
    {
        let id = request.transactional_id.clone();
        let call = TransactionRequest::EndTransaction(request.clone());
        let mut reply = self.ask(&id, call).await?;
        if reply == TransactionReply::NeedsProducerId {
            request.fresh = Some(fresh_id().await?);
            let call = TransactionRequest::EndTransaction(request);
            reply = self.ask(&id, call).await?;
        }
        match reply {
            TransactionReply::Ended(result) => result,
            _ => Err(ErrorCode::UnknownServerError),
        }
    }

    pub async fn describe(&self, id: &str) -> describe_transactions_response::TransactionState {
        let call = TransactionRequest::Describe(id.to_owned());
        let error = match self.ask(id, call).await {
            Ok(TransactionReply::Described(state)) => return state,
            Ok(_) => ErrorCode::UnknownServerError,
            Err(error) => error,
        };
        describe_transactions_response::TransactionState {
            error_code: error.code(),
            transactional_id: id.to_owned(),
            ..Default::default()
        }
    }

    /// The transactions of all partitions that this broker leads.
    pub async fn list(&self, request: ListTransactionsRequest) -> ListTransactionsResponse {
        let mut response = ListTransactionsResponse::default();
        if self.runtime.is_closed() {
            response.error_code = ErrorCode::CoordinatorNotAvailable.code();
            return response;
        }
        let filter = match filter_of(&request) {
            Ok(filter) => filter,
            Err(error) => {
                response.error_code = error.code();
                return response;
            }
        };
        let unknown = |name: &&String| TransactionState::from_name(name).is_none();
        let names = request.state_filters.iter();
        response.unknown_state_filters = names.filter(unknown).cloned().collect();
        for partition in self.runtime.partitions() {
            let call = TransactionRequest::List(filter.clone());
            match self.runtime.call(partition, call).await {
                Ok(TransactionReply::Listed(listed)) => response.transaction_states.extend(listed),
                Err(ErrorCode::NotCoordinator) => {}
                Ok(_) => {}
                Err(error) => {
                    response.error_code = error.code();
                    response.transaction_states.clear();
                    break;
                }
            }
        }
        response
    }

    /// Every partition has its marker. To be said again until it is heard.
    pub async fn markers_written(&self, partition: i32, markers: Markers) -> Result<(), ErrorCode> {
        let call = TransactionRequest::MarkersWritten(markers);
        self.runtime.call(partition, call).await.map(drop)
    }

    /// Not every partition can take its marker now; whoever ended the transaction waits no longer.
    pub async fn markers_delayed(&self, partition: i32, transactional_id: &str) {
        let call = TransactionRequest::MarkersDelayed(transactional_id.to_owned());
        // Who has lost the partition has nobody waiting.
        let _ = self.runtime.call(partition, call).await;
    }

    /// Aborts a transaction that is out of time and needs a new producer id for what comes next.
    pub async fn abort_timed_out(
        &self,
        partition: i32,
        transactional_id: String,
        start_ms: i64,
        fresh: i64,
    ) {
        let call = TransactionRequest::AbortTimedOut {
            transactional_id,
            start_ms,
            fresh,
        };
        // The next look at the time-outs tries again.
        let _ = self.runtime.call(partition, call).await;
    }
}

fn filter_of(request: &ListTransactionsRequest) -> Result<ListFilter, ErrorCode> {
    let pattern = request.transactional_id_pattern.as_deref();
    let pattern = pattern
        .filter(|pattern| !pattern.is_empty())
        .map(|pattern| Regex::new(&format!(r"\A(?:{pattern})\z")))
        .transpose()
        .map_err(|_| ErrorCode::InvalidRegularExpression)?;
    let states = request.state_filters.iter();
    Ok(ListFilter {
        states: states
            .map(|name| TransactionState::from_name(name))
            .collect(),
        producer_ids: request.producer_id_filters.iter().copied().collect(),
        duration_ms: (request.duration_filter >= 0).then_some(request.duration_filter),
        pattern,
    })
}
