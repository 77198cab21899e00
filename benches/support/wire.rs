//! A blocking connection that speaks Kafka's protocol, for what the benchmarks need around their load.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafkars::protocol::header::RequestHeader;
use kafkars::protocol::messages::create_topics_request::CreatableTopic;
use kafkars::protocol::messages::delete_topics_request::DeleteTopicState;
use kafkars::protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafkars::protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, FindCoordinatorRequest, ListOffsetsRequest,
};
use kafkars::protocol::{Request, frame};

const CREATE_VERSION: i16 = 7;
const DELETE_VERSION: i16 = 6;
const FIND_VERSION: i16 = 4;
const LIST_OFFSETS_VERSION: i16 = 6;
const LATEST: i64 = -1;
/// Where a request's correlation id is: behind the length, the key and the version.
const CORRELATION_AT: usize = 8;

pub struct Connection {
    stream: TcpStream,
    /// Reused for response after response.
    buffer: BytesMut,
}

impl Connection {
    pub fn open(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection to the node");
        stream.set_nodelay(true).expect("a socket option");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a socket option");
        Connection {
            stream,
            buffer: BytesMut::new(),
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The same connection, for another thread.
    pub fn twin(&self) -> Connection {
        Connection {
            stream: self.stream.try_clone().expect("a twin"),
            buffer: BytesMut::new(),
        }
    }

    /// Sends a whole frame, marked with `correlation_id`.
    pub fn send(&mut self, frame: &mut [u8], correlation_id: i32) -> io::Result<()> {
        frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation_id.to_be_bytes());
        self.stream.write_all(frame)
    }

    /// The next response, without its length.
    pub fn receive(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        self.buffer.resize(u32::from_be_bytes(length) as usize, 0);
        self.stream.read_exact(&mut self.buffer)?;
        Ok(self.buffer.split().freeze())
    }

    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let mut frame = encode(request, version);
        self.send(&mut frame, 1).expect("a request is sent");
        let body = self.receive().expect("a response");
        let (_, response) = frame::decode_response(body, version).expect("a response that decodes");
        response
    }

    /// Waits until the coordinator of a group (0) or a transactional id (1) is there: the first question makes its topic.
    pub fn find_coordinator(&mut self, key: &str, key_type: i8) {
        let request = FindCoordinatorRequest {
            key_type,
            coordinator_keys: vec![key.to_owned()],
            ..Default::default()
        };
        while self.ask(&request, FIND_VERSION).coordinators[0].error_code != 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Creates a topic and waits until its partitions answer.
    pub fn create_topic(&mut self, name: &str, partitions: i32) {
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.to_owned(),
                num_partitions: partitions,
                replication_factor: 1,
                ..Default::default()
            }],
            timeout_ms: 30_000,
            ..Default::default()
        };
        for topic in self.ask(&request, CREATE_VERSION).topics {
            assert_eq!(topic.error_code, 0, "{name}: {:?}", topic.error_message);
        }
        while self.end_offsets(name, partitions).is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn delete_topic(&mut self, name: &str) {
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(name.to_owned()),
                ..Default::default()
            }],
            timeout_ms: 30_000,
            ..Default::default()
        };
        self.ask(&request, DELETE_VERSION);
    }

    /// Where each partition ends; none while one of them has no leader.
    pub fn end_offsets(&mut self, topic: &str, partitions: i32) -> Option<Vec<i64>> {
        let latest = |partition_index| ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp: LATEST,
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: topic.to_owned(),
                partitions: (0..partitions).map(latest).collect(),
            }],
            ..Default::default()
        };
        let response = self.ask(&request, LIST_OFFSETS_VERSION);
        let found = response.topics.iter().flat_map(|topic| &topic.partitions);
        found
            .map(|p| (p.error_code == 0).then_some(p.offset))
            .collect()
    }
}

/// A request's frame, its length in front.
pub fn encode<R: Request>(request: &R, version: i16) -> Vec<u8> {
    let header = RequestHeader {
        client_id: Some("bench".to_owned()),
        ..Default::default()
    };
    let encoded = frame::encode_request(&header, request, version).expect("a request that encodes");
    encoded.to_bytes().expect("bytes in memory").to_vec()
}
