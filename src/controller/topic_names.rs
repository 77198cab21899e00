//! Which topic names are legal, and which would meet in the names of metrics.

use super::ApiError;
use crate::protocol::ErrorCode;

/// A name must leave room in a directory name for the partition and for `-delete` and its id.
const LENGTH_MAX: usize = 249;
/// The metadata log's own topic.
pub(super) const CLUSTER_METADATA: &str = "__cluster_metadata";

const INTERNAL: &[&str] = &[
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
];

/// Whether the topic is one of Kafka's own that clients see as internal.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Refuses illegal names in Kafka's words.
pub fn validate_topic_name(name: &str) -> Result<(), ApiError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let problem = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        _ if name.chars().count() > LENGTH_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {LENGTH_MAX}")
        }
        _ if !name.bytes().all(legal) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' \
             and '-'"
        ),
        _ => return Ok(()),
    };
    let message = format!("Topic name is invalid: {problem}");
    Err(ApiError::new(ErrorCode::InvalidTopicException, message))
}

/// Whether a metric's name could not tell the topic from another.
pub(super) fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// Whether two topics have the same name in metrics.
pub(super) fn collide(a: &str, b: &str) -> bool {
    let unified = |byte: u8| if byte == b'.' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().map(unified).eq(b.bytes().map(unified))
}
