//! Which configurations of connectors are taken, and as what.
use super::*;

fn worker(more: &str) -> WorkerConfig {
    let text = include_str!("../../config/connect-standalone.properties");
    WorkerConfig::standalone(&Properties::parse(&format!("{text}\n{more}")).unwrap()).unwrap()
}

fn source(more: &str) -> Result<ConnectorConfig> {
    let text = include_str!("../../config/connect-file-source.properties");
    ConnectorConfig::new(
        Properties::parse(&format!("{text}\n{more}")).unwrap(),
        &worker(""),
    )
}

fn sink(more: &str) -> Result<ConnectorConfig> {
    let text = include_str!("../../config/connect-file-sink.properties");
    ConnectorConfig::new(
        Properties::parse(&format!("{text}\n{more}")).unwrap(),
        &worker(""),
    )
}

#[test]
fn the_quickstarts_connectors_are_taken() {
    let source = source("").unwrap();
    assert_eq!(
        (source.name.as_str(), source.task_count()),
        ("local-file-source", 1)
    );
    let config = source.file_source();
    assert_eq!(
        (
            config.file.as_deref(),
            config.topic.as_str(),
            config.batch_lines
        ),
        (Some("test.txt"), "connect-test", 2000)
    );
    let sink = sink("tasks.max=3").unwrap();
    assert_eq!(
        (sink.name.as_str(), sink.task_count()),
        ("local-file-sink", 3)
    );
    assert_eq!(
        sink.topics().unwrap(),
        Topics::Names(vec!["connect-test".into()])
    );
    assert_eq!(
        sink.consumer(&worker(""), 2).unwrap().group_id.as_deref(),
        Some("connect-local-file-sink")
    );
}

#[test]
fn every_name_of_a_class_is_known() {
    for name in [
        "FileStreamSource",
        "FileStreamSourceConnector",
        "org.apache.kafka.connect.file.FileStreamSourceConnector",
    ] {
        assert_eq!(Plugin::find(name).unwrap(), Plugin::FileStreamSource);
    }
    assert_eq!(
        Plugin::find("FileStreamSink").unwrap(),
        Plugin::FileStreamSink
    );
    let error = Plugin::find("io.x.JdbcSource").unwrap_err().to_string();
    assert!(
        error.contains("matches io.x.JdbcSource, available connectors are: File"),
        "{error}"
    );
}

#[test]
fn clients_of_a_connector_take_its_overrides() {
    let source = source("producer.override.linger.ms=0\nproducer.override.batch.size=1").unwrap();
    let producer = source
        .producer(&worker("producer.batch.size=2"), 0)
        .unwrap();
    assert_eq!((producer.linger, producer.batch_bytes), (Duration::ZERO, 1));
    assert_eq!(
        &*producer.client.connection.client_id,
        "connector-producer-local-file-source-0"
    );
    let properties = source.properties.clone();
    let worker = worker("connector.client.config.override.policy=None");
    let error = ConnectorConfig::new(properties, &worker)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("policy=None forbids it; remove it to go on"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    for (more, start) in [
        ("name=", "Missing required configuration \"name\""),
        ("connector.class=Nope", "Failed to find any class"),
        ("topic=", "Invalid value"),
        ("tasks.max=0", "Invalid value 0 for configuration tasks.max"),
        (
            "transforms=a\ntransforms.a.type=X",
            "transforms=a: transformations are not built in yet",
        ),
        (
            "exactly.once.support=required",
            "exactly.once.support=required: no standalone",
        ),
        (
            "value.converter=Avro",
            "value.converter=Avro: there is no such converter",
        ),
        (
            "producer.override.acks=9",
            "Invalid value 9 for configuration acks",
        ),
    ] {
        let error = source(more).map(drop).unwrap_err().to_string();
        assert!(error.starts_with(start), "{more}: {error}");
    }
    for (more, start) in [
        (
            "topics.regex=a.*",
            "topics and topics.regex are mutually exclusive",
        ),
        ("topics=", "Must configure one of topics or topics.regex"),
        (
            "errors.deadletterqueue.topic.name=d",
            "errors.deadletterqueue.topic.name=d: dead",
        ),
        (
            "errors.tolerance=some",
            "Invalid value some for configuration errors.tolerance",
        ),
    ] {
        let error = sink(more).map(drop).unwrap_err().to_string();
        assert!(error.starts_with(start), "{more}: {error}");
    }
}
