//! The metadata directory goes back and forth between this implementation and Apache Kafka's.
//!
//! Skipped, loudly, where Java or Maven is missing.

mod support;

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kafkars::config::{Properties, broker};
use kafkars::controller::{Controller, ControllerResult, brokers};
use kafkars::log::directory::CleanShutdown;
use kafkars::log::storage::RealDisk;
use kafkars::metadata::MetadataImage;
use kafkars::metadata::format::{Formatter, InitialQuorum, METADATA_LOG_DIRECTORY};
use kafkars::metadata::properties::MetaProperties;
use kafkars::protocol::Uuid;
use kafkars::protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafkars::protocol::messages::{
    BrokerRegistrationRequest, ControllerRegistrationRequest, CreateTopicsRequest,
    broker_registration_request, controller_registration_request,
};
use kafkars::raft::{MetadataLog, SingleVoter, VoterConfig};

const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
const PATIENCE: Duration = Duration::from_secs(120);

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    since.as_millis() as i64
}

/// A node of ours that has metadata and nothing else.
struct Node {
    voter: SingleVoter,
    controller: Controller,
    directory: PathBuf,
    epoch: i64,
}

impl Node {
    fn start(directory: &Path, port: u16, is_clean: bool) -> Node {
        let directory_id = MetaProperties::read(directory)
            .unwrap()
            .unwrap()
            .directory_id
            .unwrap();
        let config = VoterConfig::new(1, directory_id, directory.to_owned());
        let (voter, image) = SingleVoter::open(config, now_ms()).unwrap();
        let file = Properties::new();
        let (static_values, _) = broker::table().parse_all(&file);
        let cluster_id = CLUSTER.to_owned();
        let controller = Controller {
            node_id: 1,
            cluster_id,
            file,
            static_values,
        };
        let mut node = Node {
            voter,
            controller,
            directory: directory.to_owned(),
            epoch: -1,
        };
        let bootstrap = node.voter.bootstrap_records().unwrap();
        let in_transaction = node.voter.in_transaction();
        let records = node
            .controller
            .activation_records(&image, in_transaction, &bootstrap);
        if !records.is_empty() {
            node.voter.append(&records, now_ms()).unwrap();
        }
        node.register_controller(port + 1);
        node.register_broker(port, directory_id, is_clean);
        node
    }

    fn register_controller(&mut self, port: u16) {
        let listener = controller_registration_request::Listener {
            name: "CONTROLLER".to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            ..Default::default()
        };
        let request = ControllerRegistrationRequest {
            controller_id: 1,
            incarnation_id: Uuid::from_random(rand()),
            listeners: vec![listener],
            features: brokers::supported_controller_features(),
            ..Default::default()
        };
        let result = self
            .controller
            .register_controller(self.image(), &request)
            .unwrap();
        self.commit(result);
    }

    fn register_broker(&mut self, port: u16, directory: Uuid, is_clean: bool) {
        let previous = CleanShutdown::read(&RealDisk, &self.directory).unwrap();
        assert_eq!(previous.is_some(), is_clean);
        let listener = broker_registration_request::Listener {
            name: "PLAINTEXT".to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            ..Default::default()
        };
        let request = BrokerRegistrationRequest {
            broker_id: 1,
            cluster_id: CLUSTER.to_owned(),
            incarnation_id: Uuid::from_random(rand()),
            listeners: vec![listener],
            features: brokers::supported_broker_features(),
            rack: None,
            log_dirs: vec![directory],
            previous_broker_epoch: previous.map_or(-1, |clean| clean.broker_epoch),
            ..Default::default()
        };
        let next = self.voter.end_offset();
        let result = self
            .controller
            .register_broker(self.image(), &request, next)
            .unwrap();
        self.epoch = self.commit(result);
        let result = self
            .controller
            .report_cordoned_directories(self.image(), 1, &[])
            .unwrap();
        self.commit(result);
        let result = self.controller.unfence_broker(self.image(), 1).unwrap();
        self.commit(result);
        CleanShutdown::remove(&RealDisk, &self.directory).unwrap();
    }

    fn image(&self) -> &MetadataImage {
        self.voter.image()
    }

    fn commit<R>(&mut self, result: ControllerResult<R>) -> R {
        if !result.records.is_empty() {
            self.voter.append(&result.records, now_ms()).unwrap();
        }
        result.response
    }

    fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        let result = self
            .controller
            .create_topics(self.image(), &request, &mut rand, &mut |_| Ok(()));
        let response = self.commit(result);
        assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    }

    fn stop(mut self) {
        let result = self
            .controller
            .controlled_shutdown(self.image(), 1)
            .unwrap();
        self.commit(result);
        let result = self.controller.fence_broker(self.image(), 1).unwrap();
        self.commit(result);
        self.voter.close().unwrap();
        let clean = CleanShutdown {
            broker_epoch: self.epoch,
        };
        clean.write(&RealDisk, &self.directory).unwrap();
    }
}

fn rand() -> u128 {
    u128::from(fastrand::u64(..)) << 64 | u128::from(fastrand::u64(..))
}

/// Apache Kafka's broker on a directory.
struct Genuine<'a> {
    ak: &'a support::genuine::Genuine,
    child: Child,
    port: u16,
}

impl Genuine<'_> {
    fn start<'a>(ak: &'a support::genuine::Genuine, root: &Path, port: u16) -> Genuine<'a> {
        let controller = port + 1;
        let data = root.join("data");
        let properties = root.join("server.properties");
        let lines = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             log.dirs={}\n",
            data.display()
        );
        std::fs::write(&properties, lines).unwrap();
        let child = ak
            .command("broker")
            .arg(&properties)
            .stdout(Stdio::null())
            .stderr(Stdio::from(
                std::fs::File::create(root.join("broker.log")).unwrap(),
            ))
            .spawn()
            .unwrap();
        let mut genuine = Genuine { ak, child, port };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = genuine.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(root.join("broker.log")).unwrap_or_default();
            assert!(ended.is_none(), "the genuine broker ended: {}", log());
            assert!(
                since.elapsed() < PATIENCE,
                "the genuine broker does not start: {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        genuine
    }

    fn topics(&self, arguments: &[&str]) -> String {
        let server = format!("127.0.0.1:{}", self.port);
        let output = self
            .ak
            .command("topics")
            .args(["--bootstrap-server", &server])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    fn stop(mut self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap();
    }
}

impl Drop for Genuine<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn assert_decodes(ak: &support::genuine::Genuine, log: &Path) {
    let files: Vec<String> = std::fs::read_dir(log)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.ends_with(".log") || path.ends_with(".checkpoint"))
        .collect();
    assert!(files.len() >= 2, "{files:?}");
    let output = ak
        .command("dump-log")
        .args(["--cluster-metadata-decoder", "--files", &files.join(",")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("\"name\":\"ours\""), "{text}");
    for complaint in ["isvalid: false", "skip", "Error", "Could not"] {
        assert!(!text.contains(complaint), "{complaint} in {text}");
    }
}

#[test]
fn metadata_goes_back_and_forth() {
    let Some(ak) = support::genuine::Genuine::find("metadata_goes_back_and_forth") else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("data");
    let port = support::free_ports(2);
    format(&directory);
    stopped_in_order(&ak, root.path(), &directory, port);
    killed(&ak, root.path(), &directory, port);
}

fn format(directory: &Path) {
    let formatter = Formatter {
        node_id: 1,
        cluster_id: CLUSTER.to_owned(),
        directories: vec![directory.to_owned()],
        metadata_directory: directory.to_owned(),
        release_version: None,
        feature_levels: Default::default(),
        scram: vec!["SCRAM-SHA-256=[name=alice,password=secret]".to_owned()],
        quorum: InitialQuorum::Static,
        ignore_formatted: false,
        unstable: false,
    };
    formatter.run(now_ms(), rand).unwrap();
}

fn stopped_in_order(ak: &support::genuine::Genuine, root: &Path, directory: &Path, port: u16) {
    // Ours, with a snapshot in the middle.
    let mut node = Node::start(directory, port, false);
    node.create(
        "ours",
        3,
        &[("retention.ms", "-1"), ("min.insync.replicas", "1")],
    );
    assert!(node.voter.snapshot(now_ms()).unwrap().is_some());
    node.create("after.snapshot", 1, &[]);
    node.stop();
    let log = directory.join(METADATA_LOG_DIRECTORY);
    assert_decodes(ak, &log);

    // Kafka's.
    let genuine = Genuine::start(ak, root, port);
    let described = genuine.topics(&["--describe"]);
    assert_eq!(
        described.matches("Leader: 1\tReplicas: 1\tIsr: 1").count(),
        4,
        "{described}"
    );
    assert!(described.contains("retention.ms=-1"), "{described}");
    genuine.topics(&["--create", "--topic", "theirs", "--partitions", "2"]);
    genuine.stop("-TERM");
}

fn killed(ak: &support::genuine::Genuine, root: &Path, directory: &Path, port: u16) {
    // Ours.
    let mut node = Node::start(directory, port, true);
    assert_eq!(node.image().topics.len(), 3);
    assert!(
        node.image()
            .topics
            .partitions()
            .all(|(_, _, partition)| partition.leader == 1)
    );
    assert_eq!(node.image().scram.credentials.len(), 1);
    node.create("before.kill", 1, &[]);
    drop(node);

    // Kafka's.
    let genuine = Genuine::start(ak, root, port);
    let described = genuine.topics(&["--describe"]);
    assert_eq!(
        described.matches("Leader: 1\tReplicas: 1\tIsr: 1").count(),
        7,
        "{described}"
    );
    genuine.topics(&["--delete", "--topic", "ours"]);
    genuine.stop("-KILL");

    let node = Node::start(directory, port, false);
    let names: Vec<&str> = node.image().topics.names().map(|name| &**name).collect();
    assert_eq!(names, ["after.snapshot", "before.kill", "theirs"]);
    assert!(
        node.image()
            .topics
            .partitions()
            .all(|(_, _, partition)| partition.leader == 1)
    );
    node.stop();
}
