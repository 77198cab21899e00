//! DescribeClientQuotas (key 48), versions 0–1 (KIP-546).
//!
//! A filter names entity types, each with a name, the default, or anything; `strict` leaves out entities that have
//! further types.
//!
//! - 1: flexible.

use std::collections::BTreeMap;

use crate::broker::context::RequestContext;
use crate::controller::client_quotas::{CLIENT_ID, IP, USER};
use crate::metadata::image::QuotaEntity;
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_client_quotas_request::ComponentData;
use crate::protocol::messages::describe_client_quotas_response::{
    EntityData, EntryData, ValueData,
};
use crate::protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

/// What an entity's name of one type must be.
enum Wanted<'a> {
    Name(&'a str),
    Default,
    Any,
}

type Filter<'a> = BTreeMap<&'a str, Wanted<'a>>;

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let filter = match filter(&request.components) {
        Ok(filter) => filter,
        Err((error, message)) => {
            return DescribeClientQuotasResponse {
                error_code: error.code(),
                error_message: Some(message),
                entries: None,
                ..Default::default()
            };
        }
    };
    let image = cx.broker.image();
    let entities = image.quotas.by_entity.iter();
    let entries = entities
        .filter(|(entity, _)| matches(entity, &filter, request.strict))
        .map(|(entity, quotas)| described(entity, quotas));
    DescribeClientQuotasResponse {
        entries: Some(entries.collect()),
        ..Default::default()
    }
}

fn filter(components: &[ComponentData]) -> Result<Filter<'_>, (ErrorCode, String)> {
    let invalid = |message: String| Err((ErrorCode::InvalidRequest, message));
    let mut filter = Filter::new();
    for component in components {
        let kind = component.entity_type.as_str();
        if kind.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if filter.contains_key(kind) {
            return invalid(format!(
                "Entity type {kind} cannot appear more than once in the filter."
            ));
        }
        if ![USER, CLIENT_ID, IP].contains(&kind) {
            let message = format!("Unsupported entity type {kind}");
            return Err((ErrorCode::UnsupportedVersion, message));
        }
        let wanted = match (component.match_type, component.r#match.as_deref()) {
            (EXACT, Some(name)) => Wanted::Name(name),
            (DEFAULT, None) => Wanted::Default,
            (SPECIFIED, None) => Wanted::Any,
            (EXACT, None) => {
                return invalid(
                    "Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned(),
                );
            }
            (DEFAULT | SPECIFIED, Some(_)) => {
                let name = ["DEFAULT", "SPECIFIED"][usize::from(component.match_type == SPECIFIED)];
                return invalid(format!(
                    "Request specified MATCH_TYPE_{name}, but also specified a match string."
                ));
            }
            (other, _) => return invalid(format!("Unknown match type {other}")),
        };
        filter.insert(kind, wanted);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used \
             with user or clientId filter component."
                .to_owned(),
        );
    }
    Ok(filter)
}

fn matches(entity: &QuotaEntity, filter: &Filter<'_>, strict: bool) -> bool {
    let is_wanted = |(kind, wanted): (&&str, &Wanted<'_>)| match (entity.get(*kind), wanted) {
        (None, _) => false,
        (Some(_), Wanted::Any) => true,
        (Some(name), Wanted::Default) => name.is_none(),
        (Some(name), Wanted::Name(wanted)) => name.as_deref() == Some(wanted),
    };
    (!strict || entity.len() == filter.len()) && filter.iter().all(is_wanted)
}

fn described(entity: &QuotaEntity, quotas: &BTreeMap<String, f64>) -> EntryData {
    let part = |(kind, name): (&String, &Option<String>)| EntityData {
        entity_type: kind.clone(),
        entity_name: name.clone(),
    };
    let value = |(key, value): (&String, &f64)| ValueData {
        key: key.clone(),
        value: *value,
    };
    EntryData {
        entity: entity.iter().map(part).collect(),
        values: quotas.iter().map(value).collect(),
    }
}
