//! Requests in, records and responses out; the records applied; and again.

mod admin;
mod brokers;
mod configs;
mod directories;
mod features;
mod topics;

use super::*;
use crate::config::broker;
use crate::metadata::format::default_bootstrap_records;
use crate::metadata::{MetadataRecord, Provenance, apply};
use crate::protocol::Uuid;
use crate::protocol::messages::create_topics_request::CreatableTopic;
use crate::protocol::messages::{BrokerRegistrationRequest, CreateTopicsRequest};

pub const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
pub const DIRECTORY: Uuid = Uuid::from_u128(7_000_000);

/// A controller with the image that its own records made.
pub struct Cluster {
    pub controller: Controller,
    pub image: MetadataImage,
    seed: u128,
}

impl Cluster {
    /// A cluster that was bootstrapped and has no brokers.
    pub fn new(bootstrap: &[VersionedRecord]) -> Cluster {
        let file = Properties::parse("node.id=1\nprocess.roles=broker,controller\n").unwrap();
        let (static_values, _) = broker::table().parse_all(&file);
        let controller = Controller {
            node_id: 1,
            cluster_id: CLUSTER.to_owned(),
            file,
            static_values,
        };
        let mut cluster = Cluster {
            controller,
            image: MetadataImage::default(),
            seed: 1,
        };
        let records = cluster
            .controller
            .activation_records(&cluster.image, false, bootstrap);
        cluster.apply(&records);
        cluster
    }

    /// A cluster with broker 1 running.
    pub fn running() -> Cluster {
        let mut cluster = Cluster::new(&default_bootstrap_records());
        cluster.start_broker(1, -1);
        cluster
    }

    pub fn apply(&mut self, records: &[VersionedRecord]) {
        let last_offset = self.image.provenance.last_offset + records.len() as i64;
        let end = Provenance {
            last_offset,
            ..self.image.provenance
        };
        self.image = apply(&self.image, records, end).unwrap().0;
    }

    pub fn registration(
        &mut self,
        id: i32,
        previous_broker_epoch: i64,
    ) -> BrokerRegistrationRequest {
        self.seed += 1;
        BrokerRegistrationRequest {
            broker_id: id,
            cluster_id: CLUSTER.to_owned(),
            incarnation_id: Uuid::from_u128(self.seed << 32),
            features: super::brokers::supported_broker_features(),
            log_dirs: vec![Uuid::from_u128(DIRECTORY.as_u128() + id as u128)],
            previous_broker_epoch,
            rack: None,
            ..Default::default()
        }
    }

    /// Registers and unfences a broker; returns all records and its epoch.
    pub fn start_broker(&mut self, id: i32, previous_epoch: i64) -> (Vec<VersionedRecord>, i64) {
        let request = self.registration(id, previous_epoch);
        let next = self.image.provenance.last_offset + 1;
        let registered = self
            .controller
            .register_broker(&self.image, &request, next)
            .unwrap();
        self.apply(&registered.records);
        let unfenced = self.controller.unfence_broker(&self.image, id).unwrap();
        self.apply(&unfenced.records);
        let records = [registered.records, unfenced.records].concat();
        (records, registered.response)
    }

    /// Stops a broker in order.
    pub fn stop_broker(&mut self, id: i32) -> Vec<VersionedRecord> {
        let leaving = self
            .controller
            .controlled_shutdown(&self.image, id)
            .unwrap()
            .records;
        self.apply(&leaving);
        let fenced = self
            .controller
            .fence_broker(&self.image, id)
            .unwrap()
            .records;
        self.apply(&fenced);
        [leaving, fenced].concat()
    }

    pub fn create(
        &mut self,
        topics: Vec<CreatableTopic>,
    ) -> Vec<(String, ErrorCode, Option<String>)> {
        let request = CreateTopicsRequest {
            topics,
            ..Default::default()
        };
        self.seed += 1;
        let mut seed = self.seed << 64;
        let mut random = || {
            seed += 1 << 64;
            seed
        };
        let result = self
            .controller
            .create_topics(&self.image, &request, &mut random, &mut |_| Ok(()));
        self.apply(&result.records);
        let outcome =
            |topic: crate::protocol::messages::create_topics_response::CreatableTopicResult| {
                (
                    topic.name,
                    ErrorCode::from_code(topic.error_code),
                    topic.error_message,
                )
            };
        result.response.topics.into_iter().map(outcome).collect()
    }

    /// Creates a topic with one replica of each partition.
    pub fn create_simple(&mut self, name: &str, partitions: i32) {
        let outcome = self.create(vec![topic(name, partitions, 1)]);
        assert_eq!(outcome, [(name.to_owned(), ErrorCode::None, None)]);
    }
}

pub fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

pub fn names(records: &[VersionedRecord]) -> Vec<&'static str> {
    records.iter().map(|record| record.record.name()).collect()
}

pub fn partition_changes(
    records: &[VersionedRecord],
) -> Vec<crate::protocol::records::metadata::PartitionChangeRecord> {
    let change = |record: &VersionedRecord| match &record.record {
        MetadataRecord::PartitionChange(change) => Some(change.clone()),
        _ => None,
    };
    records.iter().filter_map(change).collect()
}
