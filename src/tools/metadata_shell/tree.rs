//! The metadata as a tree of names, the way Kafka's shell shows it. Nothing of it exists until it is
//! asked for: a node knows how to make its children from the image.
use crate::config::value::java_double;
use crate::metadata::MetadataImage;
use crate::metadata::image::{ConfigResource, QuotaEntity, TopicImage};

use super::texts;
use crate::tools::KAFKA_VERSION;

pub enum Node<'i> {
    Directory(Children<'i>),
    File(String),
}

type Named<'i> = (String, Node<'i>);
type Children<'i> = Box<dyn Fn() -> Vec<Named<'i>> + 'i>;

impl<'i> Node<'i> {
    pub fn is_directory(&self) -> bool {
        matches!(self, Node::Directory(_))
    }

    /// The children by name; a file has none.
    pub fn children(&self) -> Vec<Named<'i>> {
        let mut children = match self {
            Node::Directory(children) => children(),
            Node::File(_) => Vec::new(),
        };
        children.sort_by(|(a, _), (b, _)| a.cmp(b));
        children
    }

    pub fn names(&self) -> Vec<String> {
        self.children().into_iter().map(|(name, _)| name).collect()
    }

    pub fn child(&self, name: &str) -> Option<Node<'i>> {
        let Node::Directory(children) = self else {
            return None;
        };
        let mut children = children().into_iter();
        children
            .find(|(other, _)| other == name)
            .map(|(_, node)| node)
    }
}

fn directory<'i>(children: impl Fn() -> Vec<Named<'i>> + 'i) -> Node<'i> {
    Node::Directory(Box::new(children))
}

fn named<'i>(name: impl Into<String>, node: Node<'i>) -> Named<'i> {
    (name.into(), node)
}

fn file<'i>(name: impl Into<String>, text: impl Into<String>) -> Named<'i> {
    (name.into(), Node::File(text.into()))
}

/// `/`.
pub fn root(image: &MetadataImage) -> Node<'_> {
    directory(|| {
        vec![
            named("local", directory(local)),
            named("image", of_image(image)),
        ]
    })
}

fn local<'i>() -> Vec<Named<'i>> {
    vec![
        file("version", KAFKA_VERSION),
        file("commitId", concat!("kafkars-", env!("CARGO_PKG_VERSION"))),
    ]
}

fn of_image(image: &MetadataImage) -> Node<'_> {
    directory(|| {
        let producer_ids = image.producer_ids.as_ref();
        let next = producer_ids.map_or(-1, |block| block.next_producer_id);
        vec![
            named(
                "acls",
                directory(|| vec![named("byId", directory(|| acls(image)))]),
            ),
            named("clientQuotas", directory(|| quotas(image))),
            named("cluster", directory(|| cluster(image))),
            named("configs", directory(|| configs(image))),
            named("delegationToken", directory(|| tokens(image))),
            named("features", directory(|| features(image))),
            named(
                "producerIds",
                directory(move || vec![file("nextProducerId", next.to_string())]),
            ),
            file("provenance", texts::provenance(&image.provenance)),
            named("scram", directory(|| scram(image))),
            named("topics", directory(|| topics(image))),
        ]
    })
}

fn acls(image: &MetadataImage) -> Vec<Named<'_>> {
    let acls = image.acls.by_id.iter();
    acls.map(|(id, acl)| file(id.to_string(), texts::acl(acl)))
        .collect()
}

fn quotas(image: &MetadataImage) -> Vec<Named<'_>> {
    let entities = image.quotas.by_entity.iter();
    let entities = entities.map(|(entity, values)| {
        let values = move || {
            let values = values.iter();
            values
                .map(|(key, value)| file(key, java_double(*value)))
                .collect()
        };
        named(quota_entity(entity), directory(values))
    });
    entities.collect()
}

/// Parts that name nobody are the defaults of their kind.
fn quota_entity(entity: &QuotaEntity) -> String {
    let part = |kind: &str, shown: &str| {
        let name = entity.get(kind)?.as_deref().unwrap_or("<default>");
        let name = name
            .replace('\\', "\\\\")
            .replace('(', "\\(")
            .replace(')', "\\)");
        Some(format!("{shown}({name})"))
    };
    let parts = [
        part("client-id", "clientId"),
        part("ip", "ip"),
        part("user", "user"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("_")
}

fn cluster(image: &MetadataImage) -> Vec<Named<'_>> {
    let brokers = || {
        let brokers = image.cluster.brokers.iter();
        brokers
            .map(|(id, broker)| file(id.to_string(), texts::broker(broker)))
            .collect()
    };
    let controllers = || {
        let nodes = image.cluster.controllers.iter();
        nodes
            .map(|(id, node)| file(id.to_string(), texts::controller(node)))
            .collect()
    };
    vec![
        named("brokers", directory(brokers)),
        named("controllers", directory(controllers)),
    ]
}

fn configs(image: &MetadataImage) -> Vec<Named<'_>> {
    let resources = image.configs.iter();
    let resources = resources.map(|(resource, values)| {
        let values = move || values.iter().map(|(key, value)| file(key, value)).collect();
        named(config_resource(resource), directory(values))
    });
    resources.collect()
}

fn config_resource(resource: &ConfigResource) -> String {
    let kind = match resource.kind.0 {
        2 => "TOPIC",
        4 => "BROKER",
        8 => "BROKER_LOGGER",
        16 => "CLIENT_METRICS",
        32 => "GROUP",
        _ => "UNKNOWN",
    };
    match resource.name.as_str() {
        "" => kind.to_owned(),
        name => format!("{kind}:{name}"),
    }
}

fn tokens(image: &MetadataImage) -> Vec<Named<'_>> {
    let tokens = image.tokens.by_id.iter();
    tokens
        .map(|(id, token)| file(id, texts::token(token)))
        .collect()
}

fn features(image: &MetadataImage) -> Vec<Named<'_>> {
    let features = &image.features;
    let version = match features.is_bootstrapped() {
        true => format!("Optional[{}]", features.metadata_version()),
        false => "Optional.empty".to_owned(),
    };
    let levels = features.levels().iter();
    let levels = levels.map(|(name, level)| file(format!("finalized_{name}"), level.to_string()));
    levels.chain([file("metadataVersion", version)]).collect()
}

fn scram(image: &MetadataImage) -> Vec<Named<'_>> {
    let mechanism = |code: i8| {
        directory(move || {
            let all = image.scram.credentials.iter();
            let of_mechanism = all.filter(|((mechanism, _), _)| *mechanism == code);
            of_mechanism
                .map(|((_, user), credential)| file(user, texts::scram(credential)))
                .collect()
        })
    };
    vec![
        named("SCRAM-SHA-256", mechanism(1)),
        named("SCRAM-SHA-512", mechanism(2)),
    ]
}

fn topics(image: &MetadataImage) -> Vec<Named<'_>> {
    let by_id = || {
        let topics = image.topics.iter();
        topics
            .map(|topic| named(topic.id.to_string(), of_topic(topic)))
            .collect()
    };
    let by_name = || {
        let topics = image.topics.iter();
        topics
            .map(|topic| named(&*topic.name, of_topic(topic)))
            .collect()
    };
    vec![
        named("byId", directory(by_id)),
        named("byName", directory(by_name)),
    ]
}

fn of_topic(topic: &TopicImage) -> Node<'_> {
    directory(|| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|(index, p)| file(index.to_string(), texts::partition(p)));
        let own = [file("id", topic.id.to_string()), file("name", &*topic.name)];
        partitions.chain(own).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_of_quotas_are_one_name() {
        let entity = |parts: &[(&str, Option<&str>)]| {
            let parts = parts.iter();
            let parts = parts.map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned)));
            quota_entity(&parts.collect())
        };
        assert_eq!(
            entity(&[("user", Some("a(b)")), ("client-id", Some("c\\"))]),
            "clientId(c\\\\)_user(a\\(b\\))"
        );
        assert_eq!(entity(&[("ip", None)]), "ip(<default>)");
    }
}
