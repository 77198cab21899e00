//! Which limit holds for a client: the most specific of what is set for users, client ids and both.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};

use super::Kind;
use crate::controller::client_quotas::{
    CLIENT_ID, CONNECTION_CREATION_RATE, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, IP,
    PRODUCER_BYTE_RATE, REQUEST_PERCENTAGE, USER,
};
use crate::metadata::image::{QuotaEntity, QuotasImage};

/// One half of an entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Any,
    Default,
    Named(String),
}

/// Who shares a limit: all clients of a user, all of a client id, or all that have both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sharer {
    pub user: String,
    pub client_id: String,
}

/// All limits that are set.
#[derive(Debug, Default)]
pub struct Limits {
    of_clients: BTreeMap<(Kind, Part, Part), f64>,
    of_addresses: BTreeMap<IpAddr, f64>,
    of_other_addresses: Option<f64>,
}

impl Limits {
    pub fn new(image: &QuotasImage) -> Limits {
        let mut limits = Limits::default();
        for (entity, values) in &image.by_entity {
            match entity.get(IP) {
                Some(host) => limits.add_address(host.as_deref(), values),
                None => limits.add_client(entity, values),
            }
        }
        limits
    }

    fn add_address(&mut self, host: Option<&str>, values: &BTreeMap<String, f64>) {
        let Some(limit) = values.get(CONNECTION_CREATION_RATE) else {
            return;
        };
        match host {
            None => self.of_other_addresses = Some(*limit),
            Some(host) => {
                // A name that is no longer known has no address to limit.
                let addresses = (host, 0).to_socket_addrs().into_iter().flatten();
                let first = addresses.map(|address| address.ip().to_canonical()).next();
                self.of_addresses.extend(first.map(|ip| (ip, *limit)));
            }
        }
    }

    fn add_client(&mut self, entity: &QuotaEntity, values: &BTreeMap<String, f64>) {
        let part = |kind| match entity.get(kind) {
            None => Part::Any,
            Some(None) => Part::Default,
            Some(Some(name)) => Part::Named(name.clone()),
        };
        for (key, limit) in values {
            let kind = match key.as_str() {
                PRODUCER_BYTE_RATE => Kind::Produce,
                CONSUMER_BYTE_RATE => Kind::Fetch,
                REQUEST_PERCENTAGE => Kind::Request,
                CONTROLLER_MUTATION_RATE => Kind::Mutation,
                _ => continue,
            };
            self.of_clients
                .insert((kind, part(USER), part(CLIENT_ID)), *limit);
        }
    }

    /// Bits of the kinds that somebody has a limit of.
    pub fn kinds(&self) -> u8 {
        let clients = self.of_clients.keys().map(|(kind, _, _)| kind.bit());
        let addresses = !self.of_addresses.is_empty() || self.of_other_addresses.is_some();
        let connections = if addresses { Kind::Connection.bit() } else { 0 };
        clients.fold(connections, |bits, bit| bits | bit)
    }

    /// The limit of a client, and who shares it.
    pub fn of_client(&self, kind: Kind, user: &str, client_id: &str) -> Option<(Sharer, f64)> {
        let (named_user, named_client) = (
            Part::Named(user.to_owned()),
            Part::Named(client_id.to_owned()),
        );
        // From the most to the least specific.
        let order = [
            (&named_user, &named_client),
            (&named_user, &Part::Default),
            (&named_user, &Part::Any),
            (&Part::Default, &named_client),
            (&Part::Default, &Part::Default),
            (&Part::Default, &Part::Any),
            (&Part::Any, &named_client),
            (&Part::Any, &Part::Default),
        ];
        order.into_iter().find_map(|(user_part, client_part)| {
            let key = (kind, user_part.clone(), client_part.clone());
            let limit = self.of_clients.get(&key)?;
            let shared = |part: &Part, name: &str| match part {
                Part::Any => String::new(),
                _ => name.to_owned(),
            };
            let sharer = Sharer {
                user: shared(user_part, user),
                client_id: shared(client_part, client_id),
            };
            Some((sharer, *limit))
        })
    }

    /// How many connections an address may open per second.
    pub fn of_address(&self, address: IpAddr) -> Option<f64> {
        let own = self.of_addresses.get(&address.to_canonical());
        own.copied().or(self.of_other_addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = &'a [(&'a str, Option<&'a str>)];

    fn limits(entities: &[(Parts<'_>, f64)]) -> Limits {
        let mut image = QuotasImage::default();
        for (entity, limit) in entities {
            let parts = entity.iter();
            let entity: QuotaEntity = parts
                .map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned)))
                .collect();
            let key = if entity.contains_key(IP) {
                CONNECTION_CREATION_RATE
            } else {
                PRODUCER_BYTE_RATE
            };
            let values = BTreeMap::from([(key.to_owned(), *limit)]);
            image.by_entity.insert(entity, values);
        }
        Limits::new(&image)
    }

    #[test]
    fn the_most_specific_limit_holds() {
        let all = limits(&[
            (&[("user", Some("u")), ("client-id", Some("c"))], 1.0),
            (&[("user", Some("u")), ("client-id", None)], 2.0),
            (&[("user", Some("u"))], 3.0),
            (&[("user", None), ("client-id", Some("c"))], 4.0),
            (&[("user", None), ("client-id", None)], 5.0),
            (&[("user", None)], 6.0),
            (&[("client-id", Some("c"))], 7.0),
            (&[("client-id", None)], 8.0),
        ]);
        let limit = |user, client| all.of_client(Kind::Produce, user, client).unwrap();
        assert_eq!(limit("u", "c").1, 1.0);
        assert_eq!(limit("u", "x").1, 2.0);
        assert_eq!(limit("x", "c").1, 4.0);
        assert_eq!(limit("x", "x").1, 5.0);
        assert!(all.of_client(Kind::Fetch, "u", "c").is_none());
        assert_eq!(all.kinds(), Kind::Produce.bit());
    }

    #[test]
    fn clients_share_what_is_set_for_all_of_them() {
        let users = limits(&[(&[("user", None)], 6.0), (&[("client-id", Some("c"))], 7.0)]);
        let (sharer, limit) = users.of_client(Kind::Produce, "u", "c").unwrap();
        assert_eq!((sharer.user.as_str(), sharer.client_id.as_str()), ("u", ""));
        assert_eq!(limit, 6.0);
        let clients = limits(&[(&[("client-id", None)], 8.0)]);
        let (sharer, _) = clients.of_client(Kind::Produce, "u", "c").unwrap();
        assert_eq!((sharer.user.as_str(), sharer.client_id.as_str()), ("", "c"));
    }

    #[test]
    fn addresses_have_their_own() {
        let all = limits(&[(&[("ip", Some("10.0.0.1"))], 3.0), (&[("ip", None)], 9.0)]);
        assert_eq!(
            all.of_address("::ffff:10.0.0.1".parse().unwrap()),
            Some(3.0)
        );
        assert_eq!(all.of_address("10.0.0.2".parse().unwrap()), Some(9.0));
        assert_eq!(all.kinds(), Kind::Connection.bit());
    }
}
