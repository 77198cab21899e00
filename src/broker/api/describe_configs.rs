//! DescribeConfigs (key 32), versions 1–4.
//!
//! Topics, brokers (their own settings, or with an empty name the cluster's defaults), groups, client metrics, and the
//! levels of loggers.
//!
//! - 1: synonyms (KIP-226). 3: types and documentation (KIP-569). 4: flexible.

use crate::broker::context::RequestContext;
use crate::config::describe::{
    ConfigEntry, describe_broker, describe_broker_defaults, describe_client_metrics,
    describe_group, describe_logger, describe_topic,
};
use crate::controller::validate_topic_name;
use crate::metadata::image::{ConfigResource, ConfigResourceType};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_configs_request::DescribeConfigsResource;
use crate::protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let (synonyms, docs) = (request.include_synonyms, request.include_documentation);
    let describe = |resource: DescribeConfigsResource| {
        let mut result = DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        match entries(cx, &resource) {
            Ok(entries) => {
                let asked = |name: &str| match &resource.configuration_keys {
                    Some(keys) if !keys.is_empty() => keys.iter().any(|key| key == name),
                    _ => true,
                };
                let entries = entries.into_iter().filter(|entry| asked(&entry.name));
                result.configs = entries.map(|e| described(e, synonyms, docs)).collect();
            }
            Err((error, message)) => {
                result.error_code = error.code();
                result.error_message = Some(message);
            }
        }
        result
    };
    let results = request.resources.into_iter().map(describe).collect();
    DescribeConfigsResponse {
        results,
        ..Default::default()
    }
}

fn entries(
    cx: &RequestContext<'_>,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, (ErrorCode, String)> {
    let image = cx.broker.image();
    let name = resource.resource_name.as_str();
    let kind = ConfigResourceType(resource.resource_type);
    let own = image.configs.of(&ConfigResource {
        kind,
        name: name.to_owned(),
    });
    let layers = |look: &dyn Fn(&crate::config::layers::BrokerLayers<'_>) -> Vec<ConfigEntry>| {
        cx.broker.with_layers(&image, look)
    };
    match kind {
        ConfigResourceType::TOPIC if image.topics.get(name).is_some() => {
            Ok(layers(&|layers| describe_topic(layers, own)))
        }
        ConfigResourceType::TOPIC => Err(match validate_topic_name(name) {
            // Kafka has no words for this one.
            Ok(()) => (ErrorCode::UnknownTopicOrPartition, String::new()),
            Err(error) => (error.code, error.text()),
        }),
        ConfigResourceType::BROKER if name.is_empty() => Ok(describe_broker_defaults(own)),
        ConfigResourceType::BROKER if name == cx.broker.node_id.to_string() => {
            Ok(layers(&describe_broker))
        }
        ConfigResourceType::BROKER => Err(other_node(cx, name, " or empty string,")),
        ConfigResourceType::BROKER_LOGGER if name.is_empty() => {
            Err(invalid("Broker id must not be empty"))
        }
        ConfigResourceType::BROKER_LOGGER if name == cx.broker.node_id.to_string() => {
            let levels = cx.broker.loggers.levels().into_iter();
            Ok(levels
                .map(|(name, level)| describe_logger(name, level))
                .collect())
        }
        ConfigResourceType::BROKER_LOGGER => Err(other_node(cx, name, "")),
        ConfigResourceType::GROUP if name.is_empty() => {
            Err(invalid("Group name must not be empty"))
        }
        ConfigResourceType::GROUP => Ok(layers(&|layers| describe_group(layers, own))),
        ConfigResourceType::CLIENT_METRICS if name.is_empty() => Err(invalid(
            "Client metrics subscription name must not be empty",
        )),
        ConfigResourceType::CLIENT_METRICS => Ok(describe_client_metrics(own)),
        _ => Err(invalid(ErrorCode::InvalidRequest.message())),
    }
}

fn invalid(message: &str) -> (ErrorCode, String) {
    (ErrorCode::InvalidRequest, message.to_owned())
}

/// Why what is asked of a node cannot be told by this one.
fn other_node(cx: &RequestContext<'_>, name: &str, or: &str) -> (ErrorCode, String) {
    let node_id = cx.broker.node_id;
    match name.parse::<i32>() {
        Ok(_) => invalid(&format!(
            "Unexpected broker id, expected {node_id}{or} but received {name}"
        )),
        Err(_) => invalid(&format!("Broker id must be an integer, but it is: {name}")),
    }
}

fn described(entry: ConfigEntry, synonyms: bool, docs: bool) -> DescribeConfigsResourceResult {
    let synonym = |synonym: crate::config::describe::ConfigSynonym| DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value,
        source: synonym.source.code(),
    };
    let synonyms = if synonyms { entry.synonyms } else { Vec::new() };
    DescribeConfigsResourceResult {
        name: entry.name,
        value: entry.value,
        read_only: entry.is_read_only,
        config_source: entry.source.code(),
        is_sensitive: entry.is_sensitive,
        synonyms: synonyms.into_iter().map(synonym).collect(),
        config_type: entry.type_code,
        documentation: entry
            .documentation
            // A logger's is always there, and always empty.
            .filter(|doc| docs || doc.is_empty())
            .map(str::to_owned),
    }
}
