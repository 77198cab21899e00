//! The share coordinator as the broker calls it: what is asked of one share partition's state.
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;

use super::groups::partition_for;
use super::runtime::{LoadError, PartitionLog, Runtime, RuntimeConfig};
use super::share::{
    Effect, Read, ShardRequest, ShareKey, ShareShard, ShareStateConfig, StateError, StateReply,
    StateRequest, Summary, Write,
};
use crate::metadata::image::MetadataImage;
use crate::protocol::{ErrorCode, Uuid};

pub struct ShareCoordinator<L: PartitionLog> {
    runtime: Arc<Runtime<ShareShard, L>>,
    partition_count: i32,
    image: ArcSwap<MetadataImage>,
}

impl<L: PartitionLog> ShareCoordinator<L> {
    /// `partition_count`: of `__share_group_state`, as it is or will be. `delete_before` is called
    /// with a partition and the offset before which it has nothing of use; it must not call back.
    pub fn new(
        log: L,
        config: ShareStateConfig,
        runtime: RuntimeConfig,
        partition_count: i32,
        image: Arc<MetadataImage>,
        delete_before: impl Fn(i32, i64) + Send + Sync + 'static,
    ) -> ShareCoordinator<L> {
        let new_shard = move || ShareShard::new(config);
        let on_effect = move |partition, effect| match effect {
            Effect::DeleteBefore(offset) => delete_before(partition, offset),
        };
        ShareCoordinator {
            runtime: Runtime::new(log, runtime, new_shard, on_effect),
            partition_count: partition_count.max(1),
            image: ArcSwap::new(image),
        }
    }

    /// The partition of `__share_group_state` that holds the state.
    pub fn partition_for(&self, key: &ShareKey) -> i32 {
        partition_for(&key.to_string(), self.partition_count)
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

    /// Snapshots and pruning. Runs until [`Self::close`]; spawn it once.
    pub fn run_timers(&self) -> impl Future<Output = ()> + Send + 'static {
        self.runtime.clone().run_timers()
    }

    pub fn close(&self) {
        self.runtime.close();
    }

    pub fn set_image(&self, image: Arc<MetadataImage>) {
        self.image.store(image);
    }

    /// Topics are gone: their states go.
    pub async fn on_topics_deleted(&self, topics: Vec<Uuid>) {
        for partition in self.runtime.partitions() {
            let call = ShardRequest::TopicsDeleted(topics.clone());
            if let Err(error) = self.runtime.call(partition, call).await
                && error != ErrorCode::NotCoordinator
            {
                tracing::error!(
                    "states of deleted topics stay in __share_group_state-{partition}: {}",
                    error.name()
                );
            }
        }
    }

    fn request(&self, key: &ShareKey, request: StateRequest) -> ShardRequest {
        let image = self.image.load();
        let topic = image.topics.get_by_id(key.topic_id);
        let topic_exists = topic.is_some_and(|t| t.partitions.contains_key(&key.partition));
        drop(image);
        ShardRequest::State {
            key: key.clone(),
            topic_exists,
            request,
        }
    }

    async fn ask(&self, key: &ShareKey, request: StateRequest) -> Result<StateReply, StateError> {
        let call = self.request(key, request);
        match self.runtime.call(self.partition_for(key), call).await? {
            StateReply::Refused(error) => Err(error),
            reply => Ok(reply),
        }
    }

    pub async fn initialize(
        &self,
        key: &ShareKey,
        state_epoch: i32,
        start_offset: i64,
    ) -> Result<(), StateError> {
        let request = StateRequest::Initialize {
            state_epoch,
            start_offset,
        };
        self.ask(key, request).await.map(drop)
    }

    pub async fn read(&self, key: &ShareKey, leader_epoch: i32) -> Result<Read, StateError> {
        match self.ask(key, StateRequest::Read { leader_epoch }).await? {
            StateReply::Read(read) => Ok(read),
            _ => Err(ErrorCode::UnknownServerError.into()),
        }
    }

    /// Writes are done in the order of these calls, whenever their outcomes are looked at.
    pub fn write(
        &self,
        key: &ShareKey,
        write: Write,
    ) -> impl Future<Output = Result<(), StateError>> + Send + use<L> {
        let call = self.request(key, StateRequest::Write(write));
        let written = self.runtime.start(self.partition_for(key), call);
        async move {
            match written.await? {
                StateReply::Refused(error) => Err(error),
                _ => Ok(()),
            }
        }
    }

    pub async fn delete(&self, key: &ShareKey) -> Result<(), StateError> {
        self.ask(key, StateRequest::Delete).await.map(drop)
    }

    pub async fn summarize(&self, key: &ShareKey) -> Result<Summary, StateError> {
        match self.ask(key, StateRequest::Summarize).await? {
            StateReply::Summary(summary) => Ok(summary),
            _ => Err(ErrorCode::UnknownServerError.into()),
        }
    }
}
