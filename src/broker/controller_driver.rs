//! The thread that owns the metadata log: one decision after the other, each appended, flushed and published before it
//! is answered.
//!
//! ```text
//! handler ──job──▶ thread: decide (pure) → append + fsync → publish the image ──answer──▶ handler
//! ```

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::dispatch::now_ms;
use super::node::Broker;
use super::relocation;
use crate::controller::{ApiError, Controller, ControllerResult};
use crate::log::{MoveError, TopicPartition};
use crate::metadata::image::MetadataImage;
use crate::protocol::messages::{
    AssignReplicasToDirsRequest, BrokerRegistrationRequest, ControllerRegistrationRequest,
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse,
};
use crate::protocol::{ErrorCode, Uuid};
use crate::raft::{MetadataLog, RaftError, SingleVoter};

/// Requests that may wait for the controller; more wait for a place.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut ControllerDriver) + Send>;

/// How the rest of the broker asks the controller.
#[derive(Debug, Clone)]
pub struct ControllerHandle {
    jobs: mpsc::Sender<Job>,
}

/// The other end of a handle, before its thread runs.
#[derive(Debug)]
pub struct ControllerQueue {
    jobs: mpsc::Receiver<Job>,
}

impl ControllerHandle {
    pub fn new() -> (ControllerHandle, ControllerQueue) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (
            ControllerHandle { jobs: sender },
            ControllerQueue { jobs: receiver },
        )
    }

    pub async fn create_topics(
        &self,
        request: CreateTopicsRequest,
        mut permits: impl FnMut(usize) -> Result<(), ApiError> + Send + 'static,
    ) -> Result<CreateTopicsResponse, ApiError> {
        self.decide(move |c, image| Ok(c.create_topics(image, &request, &mut random, &mut permits)))
            .await
    }

    pub async fn delete_topics(
        &self,
        request: DeleteTopicsRequest,
        mut permits: impl FnMut(usize) -> Result<(), ApiError> + Send + 'static,
    ) -> Result<DeleteTopicsResponse, ApiError> {
        self.decide(move |c, image| Ok(c.delete_topics(image, &request, &mut permits)))
            .await
    }

    pub async fn create_partitions(
        &self,
        request: CreatePartitionsRequest,
        mut permits: impl FnMut(usize) -> Result<(), ApiError> + Send + 'static,
    ) -> Result<CreatePartitionsResponse, ApiError> {
        self.decide(move |c, image| {
            Ok(c.create_partitions(image, &request, &mut random, &mut permits))
        })
        .await
    }

    /// A block of producer ids: the first, and the first that is not in it.
    pub async fn allocate_producer_ids(
        &self,
        broker_id: i32,
        broker_epoch: i64,
    ) -> Result<(i64, i64), ApiError> {
        let allocate = move |c: &Controller, image: &MetadataImage| {
            c.allocate_producer_ids(image, broker_id, broker_epoch)
        };
        let block = self.decide(allocate).await?;
        Ok((block.first, block.first + i64::from(block.len)))
    }

    /// Has the controller look whether a snapshot is due.
    pub async fn maybe_snapshot(&self) {
        let job: Job = Box::new(|driver| driver.maintain(now_ms()));
        // A controller that is gone needs no snapshot.
        let _ = self.jobs.send(job).await;
    }

    /// Has the logs made that could not be made before.
    pub async fn host_missing(&self) {
        let job: Job = Box::new(|driver| {
            if let Some(broker) = &driver.broker {
                super::publish::host_missing(broker, driver.voter.image(), now_ms());
                driver.assign_directories(now_ms());
            }
        });
        let _ = self.jobs.send(job).await;
    }

    /// Takes directories of the broker out of use. `lost` names the replicas in them.
    pub async fn directories_offline(
        &self,
        lost: AssignReplicasToDirsRequest,
        directories: Vec<Uuid>,
    ) -> Result<(), ApiError> {
        let broker_id = lost.broker_id;
        // Replicas first of which the metadata does not know where they were.
        self.decide(move |c, image| c.assign_replicas_to_dirs(image, &lost))
            .await?;
        self.decide(move |c, image| c.directories_offline(image, broker_id, &directories))
            .await
    }

    /// Tells the metadata of a replica's new directory, and has the copy there take over.
    pub async fn finish_move(&self, tp: TopicPartition) -> Result<(), MoveError> {
        let (answer, answered) = oneshot::channel();
        let gone = MoveError::NotMoving(tp.clone());
        let job: Job = Box::new(move |driver| {
            // A node that is about to stop needs no answer.
            let _ = answer.send(driver.finish_move(&tp));
        });
        // Without a controller the move is resumed at the next start.
        match self.jobs.send(job).await {
            Ok(()) => answered.await.unwrap_or(Err(gone)),
            Err(_) => Err(gone),
        }
    }

    /// Takes the lead of its partitions from the broker, and shuts it out, as the last change before it stops.
    pub async fn retire(&self, broker_id: i32) -> Result<(), ApiError> {
        self.decide(move |c, image| c.controlled_shutdown(image, broker_id))
            .await?;
        self.decide(move |c, image| c.fence_broker(image, broker_id))
            .await
    }

    /// Runs one decision on the controller's thread and waits for its answer.
    pub async fn decide<R: Send + 'static>(
        &self,
        decision: impl FnOnce(&Controller, &MetadataImage) -> Result<ControllerResult<R>, ApiError>
        + Send
        + 'static,
    ) -> Result<R, ApiError> {
        let gone = || ApiError {
            code: ErrorCode::NotController,
            message: None,
        };
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |driver| {
            // Nobody may be waiting any more: the decision holds all the same.
            let _ = answer.send(driver.decide(decision));
        });
        self.jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn storage_error(e: &RaftError) -> ErrorCode {
    match e {
        RaftError::Log(_) | RaftError::Append(_) | RaftError::Io { .. } => {
            ErrorCode::KafkaStorageError
        }
        _ => ErrorCode::UnknownServerError,
    }
}

fn random() -> u128 {
    fastrand::u128(..)
}

/// Owns the metadata log and takes the decisions.
pub struct ControllerDriver {
    controller: Controller,
    voter: SingleVoter,
    /// None while the node starts: nothing is hosted yet.
    broker: Option<Arc<Broker>>,
}

impl ControllerDriver {
    pub fn new(controller: Controller, voter: SingleVoter) -> ControllerDriver {
        ControllerDriver {
            controller,
            voter,
            broker: None,
        }
    }

    pub fn image(&self) -> &MetadataImage {
        self.voter.image()
    }

    /// Gives a new cluster its first records, and ends what the last controller left open.
    pub fn activate(&mut self) -> Result<(), RaftError> {
        let bootstrap = self.voter.bootstrap_records()?;
        let in_transaction = self.voter.in_transaction();
        let image = self.voter.image();
        let records = self
            .controller
            .activation_records(image, in_transaction, &bootstrap);
        if !records.is_empty() {
            self.voter.append(&records, now_ms())?;
        }
        Ok(())
    }

    /// Registers this node as controller and as broker, still fenced; the broker's epoch.
    pub fn register(
        &mut self,
        controller: &ControllerRegistrationRequest,
        broker: &BrokerRegistrationRequest,
        cordoned: &[Uuid],
    ) -> Result<i64, ApiError> {
        match self.decide(|c, image| c.register_controller(image, controller)) {
            Ok(()) => {}
            Err(e) if e.code == ErrorCode::UnsupportedVersion => {}
            Err(e) => return Err(e),
        }
        let next = self.voter.end_offset();
        let epoch = self.decide(|c, image| c.register_broker(image, broker, next))?;
        let id = broker.broker_id;
        self.decide(|c, image| c.report_cordoned_directories(image, id, cordoned))?;
        Ok(epoch)
    }

    /// Lets the broker in: partitions without a leader get it back.
    pub fn unfence(&mut self, broker_id: i32) -> Result<(), ApiError> {
        self.decide(|c, image| c.unfence_broker(image, broker_id))
    }

    fn decide<R>(
        &mut self,
        decision: impl FnOnce(&Controller, &MetadataImage) -> Result<ControllerResult<R>, ApiError>,
    ) -> Result<R, ApiError> {
        let result = decision(&self.controller, self.voter.image())?;
        if result.records.is_empty() {
            return Ok(result.response);
        }
        let now_ms = now_ms();
        match self.commit(&result, now_ms) {
            Ok(()) => {
                self.assign_directories(now_ms);
                self.report_cordoned();
                self.maintain(now_ms);
                Ok(result.response)
            }
            Err(e) => {
                error!("cannot write the metadata log: {e}");
                let code = storage_error(&e);
                Err(ApiError {
                    code,
                    message: Some(e.to_string()),
                })
            }
        }
    }

    fn commit<R>(&mut self, result: &ControllerResult<R>, now_ms: i64) -> Result<(), RaftError> {
        let committed = if result.is_atomic {
            vec![self.voter.append(&result.records, now_ms)?]
        } else {
            self.voter.append_in_steps(&result.records, now_ms)?
        };
        if let Some(broker) = &self.broker {
            for step in committed {
                super::publish::publish(broker, Arc::new(step.image), &step.changes, now_ms);
            }
        }
        Ok(())
    }

    /// Tells the metadata in which directories the broker has put its new replicas.
    fn assign_directories(&mut self, now_ms: i64) {
        let Some(broker) = self.broker.clone() else {
            return;
        };
        let Some(request) = broker.directories.take_unassigned(&broker) else {
            return;
        };
        let image = self.voter.image();
        let assigned = self.controller.assign_replicas_to_dirs(image, &request);
        let written = assigned.map(|result| {
            (!result.records.is_empty())
                .then(|| self.commit(&result, now_ms))
                .transpose()
        });
        match written {
            Ok(Ok(_)) => {}
            // The next start compares again.
            Ok(Err(e)) => error!("cannot write the metadata log: {e}"),
            Err(e) => warn!("replicas are not assigned to their directories: {e}"),
        }
    }

    /// Tells the metadata which directories get no new partitions, if it does not know.
    fn report_cordoned(&mut self) {
        let Some(broker) = self.broker.clone() else {
            return;
        };
        let dirs = broker.directories.ids_of(&broker.logs.cordoned());
        let id = broker.node_id;
        if let Err(e) = self.decide(|c, image| c.report_cordoned_directories(image, id, &dirs)) {
            warn!("cordoned log directories are not known to the controller: {e}");
        }
    }

    fn finish_move(&mut self, tp: &TopicPartition) -> Result<(), MoveError> {
        let not_moving = || MoveError::NotMoving(tp.clone());
        let broker = self.broker.clone().ok_or_else(not_moving)?;
        let request = relocation::assignment_of(&broker, tp).ok_or_else(not_moving)?;
        match self.decide(|c, image| c.assign_replicas_to_dirs(image, &request)) {
            Ok(_) => {}
            // Older clusters do not know where replicas are.
            Err(e) if e.code == ErrorCode::UnsupportedVersion => {}
            Err(e) => {
                warn!("{tp} is not assigned to its new directory: {e}");
                return Err(not_moving());
            }
        }
        relocation::take_over(&broker, tp)
    }

    /// Snapshots and retention. What fails is tried again: the log has everything.
    fn maintain(&mut self, now_ms: i64) {
        if let Err(e) = self.voter.maintain(now_ms) {
            warn!("cannot keep the metadata log up: {e}");
        }
    }

    /// From here on changes are published to `broker`.
    pub fn attach(&mut self, broker: Arc<Broker>) {
        self.broker = Some(broker);
    }

    /// Runs on a thread of its own until the broker has retired; the thread ends with the log closed.
    pub fn spawn(
        mut self,
        mut queue: ControllerQueue,
    ) -> std::io::Result<std::thread::JoinHandle<()>> {
        let run = move || {
            while let Some(job) = queue.jobs.blocking_recv() {
                job(&mut self);
                if self
                    .broker
                    .as_ref()
                    .is_some_and(|broker| broker.retired.is_cancelled())
                {
                    break;
                }
            }
            if let Err(e) = self.voter.close() {
                warn!("cannot close the metadata log: {e}");
            }
        };
        std::thread::Builder::new()
            .name("controller".to_owned())
            .spawn(run)
    }
}
