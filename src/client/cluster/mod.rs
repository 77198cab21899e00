//! The client of a cluster: connections by broker, the metadata that tells which broker to ask,
//! and calls that are sent again where that helps. Admin, producer and consumer stand on it.
mod calls;
mod links;
mod refresh;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use calls::{CallOptions, Coordinator, Route};
use links::Links;
pub use links::Role;
use refresh::Wanted;

use super::config::ClientConfig;
use super::connection::{Connection, Endpoint};
use super::errors::{ClientError, Result};
use super::metadata::ClusterMetadata;
use super::outage::Outages;
use super::traffic::Traffic;

/// A client of one cluster; clones share connections and metadata. The last clone to go, or
/// [`Client::close`], ends its tasks.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    _cancel_on_drop: Arc<DropGuard>,
}

pub(crate) struct Inner {
    pub(crate) config: ClientConfig,
    links: Links,
    metadata: ArcSwap<ClusterMetadata>,
    updates: watch::Sender<u64>,
    wanted: Mutex<Wanted>,
    refresh: Notify,
    coordinators: Mutex<HashMap<(i8, String), Endpoint>>,
    /// Why the last update of the metadata was not let in.
    refused: Mutex<Option<ClientError>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Client {
    /// Makes a client. Nothing is connected before the first call asks for it. Must be called
    /// inside a tokio runtime.
    pub fn new(config: ClientConfig) -> Self {
        let cancel = CancellationToken::new();
        let tasks = TaskTracker::new();
        let outages = Outages::new(config.connectivity.clone());
        let inner = Arc::new(Inner {
            links: Links::new(&config, outages, tasks.clone(), cancel.clone()),
            metadata: ArcSwap::default(),
            updates: watch::channel(0).0,
            wanted: Mutex::new(Wanted::default()),
            refresh: Notify::new(),
            coordinators: Mutex::default(),
            refused: Mutex::default(),
            tasks: tasks.clone(),
            cancel: cancel.clone(),
            config,
        });
        tasks.spawn(refresh::run(inner.clone()));
        Self {
            inner,
            _cancel_on_drop: Arc::new(cancel.drop_guard()),
        }
    }

    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// An error while no broker lets this client in: then waiting is in vain.
    pub(crate) fn check_access(&self) -> Result<()> {
        match &*self.inner.refused.lock() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// What went over its connections so far.
    pub fn traffic(&self) -> &Traffic {
        &self.inner.links.traffic
    }

    /// The present metadata; empty before the first update.
    pub fn metadata(&self) -> Arc<ClusterMetadata> {
        self.inner.metadata.load_full()
    }

    /// A connection to a broker of the metadata, made if there is none.
    pub async fn connection(&self, node: i32, role: Role) -> Result<Connection> {
        let endpoint = self.metadata().brokers.get(&node).cloned().ok_or_else(|| {
            ClientError::disconnected(format!("node {node} is not known in the cluster"))
        })?;
        self.connection_to(&endpoint, role).await
    }

    /// A connection to an address, made if there is none.
    pub async fn connection_to(&self, endpoint: &Endpoint, role: Role) -> Result<Connection> {
        self.inner.links.connection(endpoint, role).await
    }

    /// The connection to an address if it stands already.
    pub(crate) fn live_connection(&self, endpoint: &Endpoint, role: Role) -> Option<Connection> {
        self.inner.links.live(endpoint, role)
    }

    /// A connection to whichever broker answers.
    pub async fn any_connection(&self) -> Result<Connection> {
        self.inner.any_connection().await
    }

    /// Asks for fresh metadata in the background.
    pub fn request_update(&self) {
        self.inner.request_update();
    }

    /// Changes with every metadata update.
    pub fn updates(&self) -> watch::Receiver<u64> {
        self.inner.updates.subscribe()
    }

    /// Adds topics to those that metadata is kept for; unknown ones are asked for at once.
    pub fn want_topics<'a>(&self, topics: impl IntoIterator<Item = &'a str>) {
        let metadata = self.metadata();
        let mut unknown = false;
        let mut wanted = self.inner.wanted.lock();
        for topic in topics {
            wanted.add(topic);
            unknown |= metadata.topic(topic).is_none();
        }
        drop(wanted);
        if unknown {
            self.request_update();
        }
    }

    /// Replaces the topics that metadata is kept for.
    pub fn set_topics(&self, topics: Vec<Arc<str>>) {
        self.inner.wanted.lock().set(topics);
        self.request_update();
    }

    /// Keeps metadata for every topic, for pattern subscriptions.
    pub fn want_all_topics(&self) {
        self.inner.wanted.lock().set_all();
        self.request_update();
    }

    /// Keeps no metadata for a topic any longer.
    pub fn forget_topic(&self, topic: &str) {
        self.inner.wanted.lock().remove(topic);
    }

    /// Waits until the metadata answers `find`, asking for updates meanwhile.
    pub async fn wait_for<T>(
        &self,
        deadline: Instant,
        what: impl Fn() -> String,
        mut find: impl FnMut(&ClusterMetadata) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut updates = self.updates();
        loop {
            updates.borrow_and_update();
            if let Some(found) = find(&self.metadata())? {
                return Ok(found);
            }
            self.check_access()?;
            self.request_update();
            tokio::select! {
                changed = updates.changed() => changed.map_err(|_| ClientError::Closed)?,
                () = self.inner.cancel.cancelled() => return Err(ClientError::Closed),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(ClientError::timeout(what()));
                }
            }
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    pub(crate) fn cancelled(&self) -> &CancellationToken {
        &self.inner.cancel
    }

    /// Ends all connections and waits for every task of this client.
    pub async fn close(&self) {
        self.inner.cancel.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

impl Inner {
    pub(crate) fn request_update(&self) {
        self.refresh.notify_one();
    }

    pub(crate) async fn any_connection(&self) -> Result<Connection> {
        let metadata = self.metadata.load_full();
        self.links.any(&metadata.brokers).await
    }
}
