//! Client quotas, stored and described.

use kafkars::protocol::messages::*;

use crate::settle;
use crate::support::wire::Connection;
use crate::transcript::Transcript;

type Entity<'a> = &'a [(&'a str, Option<&'a str>)];
type Ops<'a> = &'a [(&'a str, Option<f64>)];

/// Values to set, and None for one to remove.
fn alter(entity: Entity<'_>, ops: Ops<'_>) -> AlterClientQuotasRequest {
    alter_all(&[(entity, ops)])
}

fn alter_all(entries: &[(Entity<'_>, Ops<'_>)]) -> AlterClientQuotasRequest {
    use alter_client_quotas_request::{EntityData, EntryData, OpData};
    let part = |(kind, name): &(&str, Option<&str>)| EntityData {
        entity_type: (*kind).to_owned(),
        entity_name: name.map(str::to_owned),
    };
    let op = |(key, value): &(&str, Option<f64>)| OpData {
        key: (*key).to_owned(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    };
    let entry = |(entity, ops): &(Entity<'_>, Ops<'_>)| EntryData {
        entity: entity.iter().map(part).collect(),
        ops: ops.iter().map(op).collect(),
    };
    AlterClientQuotasRequest {
        entries: entries.iter().map(entry).collect(),
        validate_only: false,
    }
}

fn describe(components: &[(&str, i8, Option<&str>)], strict: bool) -> DescribeClientQuotasRequest {
    let component = |(kind, match_type, name): &(&str, i8, Option<&str>)| {
        describe_client_quotas_request::ComponentData {
            entity_type: (*kind).to_owned(),
            match_type: *match_type,
            r#match: name.map(str::to_owned),
        }
    };
    DescribeClientQuotasRequest {
        components: components.iter().map(component).collect(),
        strict,
    }
}

pub fn refused(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    let user: Entity<'_> = &[("user", Some("u"))];
    let rate = [("producer_byte_rate", Some(1000.0))];
    t.ask(c, "no entity", &alter(&[], &rate));
    t.ask(
        c,
        "unknown entity type",
        &alter(&[("host", Some("u"))], &rate),
    );
    t.ask(c, "empty entity type", &alter(&[("", Some("u"))], &rate));
    t.ask(c, "empty name", &alter(&[("user", Some(""))], &rate));
    t.ask(
        c,
        "ip and user",
        &alter(&[("ip", Some("127.0.0.1")), ("user", None)], &rate),
    );
    t.ask(
        c,
        "not an ip",
        &alter(
            &[("ip", Some("1.2.3.4.5"))],
            &[("connection_creation_rate", Some(5.0))],
        ),
    );
    t.ask(
        c,
        "a key of users for an ip",
        &alter(&[("ip", Some("127.0.0.1"))], &rate),
    );
    t.ask(
        c,
        "a key of ips for a user",
        &alter(user, &[("connection_creation_rate", Some(5.0))]),
    );
    t.ask(c, "unknown key", &alter(user, &[("speed", Some(5.0))]));
    t.ask(
        c,
        "zero",
        &alter(user, &[("consumer_byte_rate", Some(0.0))]),
    );
    t.ask(
        c,
        "negative",
        &alter(user, &[("request_percentage", Some(-1.0))]),
    );
    t.ask(
        c,
        "fraction of a byte",
        &alter(user, &[("producer_byte_rate", Some(1.5))]),
    );
    t.ask(
        c,
        "too large",
        &alter(user, &[("producer_byte_rate", Some(1e30))]),
    );
    t.ask(
        c,
        "fraction of a connection",
        &alter(&[("ip", None)], &[("connection_creation_rate", Some(1.5))]),
    );
    t.ask(
        c,
        "too many connections",
        &alter(&[("ip", None)], &[("connection_creation_rate", Some(1e12))]),
    );
    t.ask(
        c,
        "the same key twice",
        &alter(
            user,
            &[
                ("producer_byte_rate", Some(1.0)),
                ("producer_byte_rate", Some(2.0)),
            ],
        ),
    );
    t.ask(
        c,
        "removing what is not set",
        &alter(user, &[("producer_byte_rate", None)]),
    );
    t.ask(
        c,
        "removing an unknown key",
        &alter(user, &[("speed", None)]),
    );
    t.ask(
        c,
        "only validated",
        &AlterClientQuotasRequest {
            validate_only: true,
            ..alter(user, &rate)
        },
    );
    t.ask(
        controller,
        "unknown key, of the controller",
        &alter(user, &[("speed", Some(5.0))]),
    );
    t.ask(c, "empty type", &describe(&[("", 0, Some("u"))], false));
    t.ask(
        c,
        "unknown type",
        &describe(&[("host", 0, Some("u"))], false),
    );
    t.ask(
        c,
        "twice",
        &describe(&[("user", 0, Some("u")), ("user", 1, None)], false),
    );
    t.ask(
        c,
        "exact without a name",
        &describe(&[("user", 0, None)], false),
    );
    t.ask(
        c,
        "default with a name",
        &describe(&[("user", 1, Some("u"))], false),
    );
    t.ask(
        c,
        "any with a name",
        &describe(&[("user", 2, Some("u"))], false),
    );
    t.ask(c, "unknown match", &describe(&[("user", 3, None)], false));
    t.ask(
        c,
        "ip and user",
        &describe(&[("ip", 2, None), ("user", 2, None)], false),
    );
    t.ask(
        c,
        "what is not there",
        &describe(&[("user", 0, Some("u"))], false),
    );
    t.ask(c, "all", &describe(&[], false));
}

pub fn accepted(t: &mut Transcript, c: &mut Connection, controller: &mut Connection) {
    let rate = |value| [("producer_byte_rate", Some(value))];
    t.ask(c, "user", &alter(&[("user", Some("u"))], &rate(1e9)));
    t.ask(
        controller,
        "client id",
        &alter(&[("client-id", Some("c"))], &rate(2e9)),
    );
    t.ask(
        c,
        "default user",
        &alter(
            &[("user", None)],
            &[("controller_mutation_rate", Some(0.5e9))],
        ),
    );
    t.ask(
        c,
        "user and default client",
        &alter(&[("user", Some("u")), ("client-id", None)], &rate(4e9)),
    );
    t.ask(
        c,
        "ip",
        &alter(
            &[("ip", Some("10.0.0.1"))],
            &[("connection_creation_rate", Some(100.0))],
        ),
    );
    t.ask(
        c,
        "one is refused, one is not",
        &alter_all(&[(&[("user", Some("bad"))], &[("speed", Some(1.0))])]),
    );
    t.ask(
        c,
        "the same type twice",
        &alter(&[("user", Some("u")), ("user", None)], &rate(7e9)),
    );
    settle(c, controller);
    // One entity each: the order of more is that of a hash table.
    t.ask(c, "exact", &describe(&[("user", 0, Some("u"))], true));
    t.ask(c, "default", &describe(&[("user", 1, None)], false));
    t.ask(c, "any ip", &describe(&[("ip", 2, None)], false));
    t.ask(
        c,
        "client",
        &describe(&[("client-id", 0, Some("c"))], false),
    );
    t.ask(c, "strict", &describe(&[("client-id", 2, None)], true));
    t.ask(
        c,
        "removed",
        &alter(&[("client-id", Some("c"))], &[("producer_byte_rate", None)]),
    );
    settle(c, controller);
    t.ask(
        c,
        "strict, once removed",
        &describe(&[("client-id", 2, None)], true),
    );
    t.ask_in(
        c,
        "in the first version",
        &describe(&[("ip", 2, None)], false),
        0,
    );
}
