//! Internal topics of Kafka Streams applications: created when a heartbeat finds them missing. What
//! cannot be created is not tried again with every heartbeat.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::{info, warn};

use super::context::RequestContext;
use super::full_disk::check_room;
use crate::protocol::ErrorCode;
use crate::protocol::messages::CreateTopicsRequest;
use crate::protocol::messages::create_topics_request::CreatableTopic;

/// Errors of more topics are not remembered.
const CAPACITY: usize = 1000;

/// Why topics could not be created lately.
#[derive(Debug, Default)]
pub struct CreationErrors {
    by_topic: Mutex<BTreeMap<String, (Instant, String)>>,
}

impl CreationErrors {
    fn get(&self, topic: &str, now: Instant) -> Option<String> {
        let by_topic = self.by_topic.lock();
        let (until, error) = by_topic.get(topic)?;
        (*until > now).then(|| error.clone())
    }

    fn put(&self, topic: &str, error: &str, now: Instant, for_how_long: Duration) {
        let mut by_topic = self.by_topic.lock();
        by_topic.retain(|_, (until, _)| *until > now);
        if by_topic.len() < CAPACITY {
            by_topic.insert(topic.to_owned(), (now + for_how_long, error.to_owned()));
        }
    }
}

/// Creates the topics; the errors of those that could not be, now or a short while ago.
pub async fn create(
    cx: &RequestContext<'_>,
    topics: Vec<CreatableTopic>,
    retry_after: Duration,
) -> Vec<(String, String)> {
    let errors = &cx.broker.creation_errors;
    let now = Instant::now();
    let (mut failed, mut wanted) = (Vec::new(), Vec::new());
    for topic in topics {
        match errors.get(&topic.name, now) {
            Some(error) => failed.push((topic.name, error)),
            None => wanted.push(topic),
        }
    }
    if wanted.is_empty() {
        return failed;
    }
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let request = CreateTopicsRequest {
        topics: wanted,
        ..Default::default()
    };
    let created = match check_room(cx.broker) {
        Ok(()) => {
            let permits = cx.permits(false);
            cx.broker.controller.create_topics(request, permits).await
        }
        Err(error) => Err(error),
    };
    let results: Vec<(String, Option<String>)> = match created {
        Ok(response) => response
            .topics
            .into_iter()
            .map(|topic| {
                let code = ErrorCode::from_code(topic.error_code);
                let is_there = matches!(code, ErrorCode::None | ErrorCode::TopicAlreadyExists);
                let message = topic.error_message.filter(|message| !message.is_empty());
                let message = message.unwrap_or_else(|| code.message().to_owned());
                (topic.name, (!is_there).then_some(message))
            })
            .collect(),
        Err(error) => {
            let failed = |name| (name, Some(error.text()));
            names.into_iter().map(failed).collect()
        }
    };
    for (name, error) in results {
        match error {
            None => info!("created internal topic {name} of a streams group"),
            Some(error) => {
                warn!("cannot create internal topic {name} of a streams group: {error}");
                errors.put(&name, &error, now, retry_after);
                failed.push((name, error));
            }
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_remembered_for_a_while() {
        let errors = CreationErrors::default();
        let now = Instant::now();
        errors.put("t", "no", now, Duration::from_secs(10));
        assert_eq!(errors.get("t", now).as_deref(), Some("no"));
        assert_eq!(errors.get("u", now), None);
        let later = now + Duration::from_secs(10);
        assert_eq!(errors.get("t", later), None);
        errors.put("u", "no", later, Duration::from_secs(10));
        assert_eq!(errors.by_topic.lock().len(), 1, "old ones go");
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let errors = CreationErrors::default();
        let now = Instant::now();
        for n in 0..=CAPACITY {
            errors.put(&n.to_string(), "no", now, Duration::from_secs(10));
        }
        assert_eq!(errors.by_topic.lock().len(), CAPACITY);
    }
}
