use super::*;
use crate::metadata::image::ConfigResource;
use crate::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use crate::protocol::messages::{
    AlterConfigsRequest, IncrementalAlterConfigsRequest, alter_configs_request,
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn change(name: &str, config_operation: i8, value: Option<&str>) -> AlterableConfig {
    let (name, value) = (name.to_owned(), value.map(str::to_owned));
    AlterableConfig {
        name,
        config_operation,
        value,
    }
}

fn resource(kind: i8, name: &str, configs: Vec<AlterableConfig>) -> AlterConfigsResource {
    let resource_name = name.to_owned();
    AlterConfigsResource {
        resource_type: kind,
        resource_name,
        configs,
    }
}

fn alter(
    cluster: &mut Cluster,
    resources: Vec<AlterConfigsResource>,
) -> Vec<(ErrorCode, Option<String>)> {
    let request = IncrementalAlterConfigsRequest {
        resources,
        ..Default::default()
    };
    let result =
        cluster
            .controller
            .incremental_alter_configs(&cluster.image, &request, Door::Broker);
    cluster.apply(&result.records);
    let responses = result.response.responses.into_iter();
    responses
        .map(|r| (ErrorCode::from_code(r.error_code), r.error_message))
        .collect()
}

fn alter_topic(
    cluster: &mut Cluster,
    configs: Vec<AlterableConfig>,
) -> (ErrorCode, Option<String>) {
    alter(cluster, vec![resource(TOPIC, "t", configs)]).remove(0)
}

fn set_of(cluster: &Cluster, resource: &ConfigResource) -> Vec<String> {
    let configs = cluster.image.configs.of(resource).iter();
    configs
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

#[test]
fn single_keys_are_set_deleted_and_edited() {
    let mut cluster = Cluster::running();
    cluster.create_simple("t", 1);
    let fine = (ErrorCode::None, None);
    let topic = ConfigResource::topic("t");
    let set = vec![
        change("retention.ms", 0, Some("1000")),
        change("cleanup.policy", 2, Some("compact")),
    ];
    assert_eq!(alter_topic(&mut cluster, set), fine);
    assert_eq!(
        set_of(&cluster, &topic),
        ["cleanup.policy=delete,compact", "retention.ms=1000"]
    );
    let edit = vec![
        change("retention.ms", 1, None),
        change("cleanup.policy", 3, Some("delete")),
    ];
    assert_eq!(alter_topic(&mut cluster, edit), fine);
    assert_eq!(set_of(&cluster, &topic), ["cleanup.policy=compact"]);
    // Deleting what is not set is fine, and writes nothing.
    let before = cluster.image.provenance.last_offset;
    assert_eq!(
        alter_topic(&mut cluster, vec![change("retention.ms", 1, None)]),
        fine
    );
    assert_eq!(cluster.image.provenance.last_offset, before);
}

#[test]
fn bad_changes_are_refused_whole() {
    let mut cluster = Cluster::running();
    cluster.create_simple("t", 1);
    let good = change("segment.ms", 0, Some("5"));
    for (bad, code, message) in [
        (
            change("no.such", 0, Some("1")),
            ErrorCode::InvalidConfig,
            "Unknown topic config name: no.such",
        ),
        (
            change("retention.ms", 0, Some("xx")),
            ErrorCode::InvalidConfig,
            "Invalid value xx for configuration retention.ms: Not a number of type LONG",
        ),
        (
            change("retention.ms", 2, Some("1")),
            ErrorCode::InvalidConfig,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            change("retention.ms", 0, None),
            ErrorCode::InvalidRequest,
            "Null value not supported for : retention.ms",
        ),
        (
            change("segment.ms", 0, Some("6")),
            ErrorCode::InvalidRequest,
            "Error due to duplicate config keys",
        ),
    ] {
        let outcome = alter_topic(&mut cluster, vec![good.clone(), bad]);
        assert_eq!(outcome, (code, Some(message.to_owned())));
    }
    assert!(set_of(&cluster, &ConfigResource::topic("t")).is_empty());
    let unknown = alter(&mut cluster, vec![resource(TOPIC, "u", vec![good.clone()])]).remove(0);
    let message = Some("The topic 'u' does not exist.".to_owned());
    assert_eq!(unknown, (ErrorCode::UnknownTopicOrPartition, message));
    let twice = resource(TOPIC, "t", vec![good]);
    let outcome = alter(&mut cluster, vec![twice.clone(), twice]);
    assert!(
        outcome
            .iter()
            .all(|(code, _)| *code == ErrorCode::InvalidRequest)
    );
}

#[test]
fn the_least_number_of_in_sync_replicas_resets_eligible_leaders() {
    let mut cluster = Cluster::running();
    cluster.create_simple("t", 1);
    cluster.stop_broker(1);
    assert_eq!(cluster.image.topics.partition("t", 0).unwrap().elr, [1]);
    alter_topic(
        &mut cluster,
        vec![change("min.insync.replicas", 0, Some("2"))],
    );
    assert!(
        cluster
            .image
            .topics
            .partition("t", 0)
            .unwrap()
            .elr
            .is_empty()
    );
    for (name, operation, value, message) in [
        (
            "1",
            0,
            Some("1"),
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.",
        ),
        (
            "",
            1,
            None,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
        ),
    ] {
        let changes = vec![change("min.insync.replicas", operation, value)];
        let outcome = alter(&mut cluster, vec![resource(BROKER, name, changes)]).remove(0);
        assert_eq!(
            outcome,
            (ErrorCode::InvalidConfig, Some(message.to_owned()))
        );
    }
}

#[test]
fn brokers_take_what_may_change_at_run_time() {
    let mut cluster = Cluster::running();
    let set = |name: &str, key: &str, value: &str| {
        vec![resource(BROKER, name, vec![change(key, 0, Some(value))])]
    };
    let outcome = alter(&mut cluster, set("", "log.retention.ms", "1000"));
    assert_eq!(outcome, [(ErrorCode::None, None)]);
    let values = cluster.controller.layers(&cluster.image).values();
    assert_eq!(values.long("log.retention.ms"), 1000);
    assert_eq!(
        alter(&mut cluster, set("1", "node.id", "2"))[0].0,
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        alter(&mut cluster, set("7", "log.retention.ms", "1"))[0].0,
        ErrorCode::InvalidRequest
    );
}

#[test]
fn the_old_api_replaces_everything() {
    let mut cluster = Cluster::running();
    cluster.create_simple("t", 1);
    let changes = vec![
        change("retention.ms", 0, Some("1")),
        change("segment.ms", 0, Some("2")),
    ];
    alter_topic(&mut cluster, changes);
    let request = AlterConfigsRequest {
        resources: vec![alter_configs_request::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t".to_owned(),
            configs: vec![alter_configs_request::AlterableConfig {
                name: "segment.ms".to_owned(),
                value: Some("3".to_owned()),
            }],
        }],
        ..Default::default()
    };
    let result = cluster
        .controller
        .alter_configs(&cluster.image, &request, Door::Broker);
    cluster.apply(&result.records);
    assert_eq!(result.response.responses[0].error_code, 0);
    assert_eq!(
        set_of(&cluster, &ConfigResource::topic("t")),
        ["segment.ms=3"]
    );
}

#[test]
fn groups_are_configured_within_the_brokers_bounds() {
    const GROUP: i8 = 32;
    let mut cluster = Cluster::running();
    let mut set = |name: &str, configs: &[(&str, &str)]| {
        let configs = configs
            .iter()
            .map(|(key, value)| change(key, 0, Some(value)));
        alter(&mut cluster, vec![resource(GROUP, name, configs.collect())]).remove(0)
    };
    let ok = (ErrorCode::None, None);
    let invalid = |text: &str| (ErrorCode::InvalidConfig, Some(text.to_owned()));
    let (session, heartbeat) = (
        "consumer.session.timeout.ms",
        "consumer.heartbeat.interval.ms",
    );
    assert_eq!(set("g", &[(session, "50000"), (heartbeat, "6000")]), ok);
    assert_eq!(
        set("g", &[(session, "70000")]),
        invalid(
            "consumer.session.timeout.ms must be less than or equal to \
             group.consumer.max.session.timeout.ms"
        )
    );
    assert_eq!(
        set("g", &[(heartbeat, "1")]),
        invalid(
            "consumer.heartbeat.interval.ms must be greater than or equal to \
             group.consumer.min.heartbeat.interval.ms"
        )
    );
    assert_eq!(
        set("g", &[("retention.ms", "1")]),
        invalid("Unknown group config name: retention.ms")
    );
    let default = Some("Default group resources are not allowed.".to_owned());
    assert_eq!(
        set("", &[(session, "50000")]),
        (ErrorCode::InvalidRequest, default)
    );
    let group = ConfigResource {
        kind: crate::metadata::image::ConfigResourceType::GROUP,
        name: "g".into(),
    };
    let expected = [
        "consumer.heartbeat.interval.ms=6000",
        "consumer.session.timeout.ms=50000",
    ];
    assert_eq!(set_of(&cluster, &group), expected);
}
