//! DeleteTopics, by name or by id.

use std::collections::BTreeSet;

use super::{ApiError, Controller, ControllerResult, Permits};
use crate::metadata::image::MetadataImage;
use crate::metadata::record::v0;
use crate::protocol::messages::delete_topics_response::DeletableTopicResult;
use crate::protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use crate::protocol::records::metadata::RemoveTopicRecord;
use crate::protocol::{ErrorCode, Uuid};

impl Controller {
    /// Deletes topics. Names and ids may be mixed, but each topic may be named once.
    pub fn delete_topics(
        &self,
        image: &MetadataImage,
        request: &DeleteTopicsRequest,
        permits: &mut Permits<'_>,
    ) -> ControllerResult<DeleteTopicsResponse> {
        let mut deletion = Deletion {
            image,
            responses: Vec::new(),
            ids: BTreeSet::new(),
        };
        let mut names = Unique::default();
        let mut ids = Unique::default();
        request
            .topic_names
            .iter()
            .for_each(|name| names.add(name.clone()));
        for topic in &request.topics {
            match (&topic.name, topic.topic_id) {
                (None, Uuid::ZERO) => deletion.refuse(
                    None,
                    Uuid::ZERO,
                    ApiError::new(
                        ErrorCode::InvalidRequest,
                        "Neither topic name nor id were specified.",
                    ),
                ),
                (None, id) => ids.add(id),
                (Some(name), Uuid::ZERO) => names.add(name.clone()),
                (Some(name), id) => deletion.refuse(
                    Some(name),
                    id,
                    ApiError::new(
                        ErrorCode::InvalidRequest,
                        "You may not specify both topic name and topic id.",
                    ),
                ),
            }
        }
        let duplicate = |message| ApiError::new(ErrorCode::InvalidRequest, message);
        for name in &names.repeated {
            deletion.refuse(Some(name), Uuid::ZERO, duplicate("Duplicate topic name."));
        }
        for id in &ids.repeated {
            deletion.refuse(None, *id, duplicate("Duplicate topic id."));
        }
        ids.once.into_iter().for_each(|id| deletion.by_id(id));
        for name in &names.once {
            deletion.by_name(name, &ids.repeated);
        }
        deletion.finish(permits)
    }
}

/// Things that came once, and things that came more often.
struct Unique<T> {
    once: BTreeSet<T>,
    repeated: BTreeSet<T>,
}

impl<T> Default for Unique<T> {
    fn default() -> Self {
        Unique {
            once: BTreeSet::new(),
            repeated: BTreeSet::new(),
        }
    }
}

impl<T: Ord> Unique<T> {
    fn add(&mut self, thing: T) {
        if self.once.remove(&thing) || self.repeated.contains(&thing) {
            self.repeated.insert(thing);
        } else {
            self.once.insert(thing);
        }
    }
}

struct Deletion<'a> {
    image: &'a MetadataImage,
    responses: Vec<DeletableTopicResult>,
    ids: BTreeSet<Uuid>,
}

impl Deletion<'_> {
    fn refuse(&mut self, name: Option<&str>, topic_id: Uuid, error: ApiError) {
        self.responses.push(DeletableTopicResult {
            name: name.map(str::to_owned),
            topic_id,
            error_code: error.code.code(),
            error_message: error.message,
        });
    }

    fn by_id(&mut self, id: Uuid) {
        match self.image.topics.get_by_id(id) {
            Some(_) => {
                self.ids.insert(id);
            }
            None => {
                let code = ErrorCode::UnknownTopicId;
                self.refuse(None, id, ApiError::new(code, code.message()));
            }
        }
    }

    fn by_name(&mut self, name: &str, repeated_ids: &BTreeSet<Uuid>) {
        let Some(id) = self.image.topics.id_of(name) else {
            let code = ErrorCode::UnknownTopicOrPartition;
            self.refuse(Some(name), Uuid::ZERO, ApiError::new(code, code.message()));
            return;
        };
        if repeated_ids.contains(&id) || !self.ids.insert(id) {
            self.ids.remove(&id);
            let message = "The provided topic name maps to an ID that was already supplied.";
            self.refuse(
                Some(name),
                id,
                ApiError::new(ErrorCode::InvalidRequest, message),
            );
        }
    }

    fn finish(mut self, permits: &mut Permits<'_>) -> ControllerResult<DeleteTopicsResponse> {
        let mut records = Vec::new();
        for topic_id in std::mem::take(&mut self.ids) {
            let topic = self.image.topics.get_by_id(topic_id);
            let name = topic.map(|topic| topic.name.to_string());
            if let Err(error) = permits(topic.map_or(0, |topic| topic.partitions.len())) {
                self.refuse(name.as_deref(), topic_id, error);
                continue;
            }
            records.push(v0(RemoveTopicRecord {
                topic_id,
                ..Default::default()
            }));
            let deleted = DeletableTopicResult {
                name,
                topic_id,
                ..Default::default()
            };
            self.responses.push(deleted);
        }
        let response = DeleteTopicsResponse {
            responses: self.responses,
            ..Default::default()
        };
        ControllerResult::atomic(records, response)
    }
}
