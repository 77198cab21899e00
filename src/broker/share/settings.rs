//! What holds for one share group: its own configuration (`kafka-configs --entity-type groups`), kept
//! within the broker's bounds, over the broker's.

use super::partition::Limits;
use crate::broker::node::Broker;
use crate::config::key_checks::parse_duration_ms;
use crate::log::{ListOffset, ReadLimit};
use crate::metadata::image::{ConfigResource, ConfigResourceType};

/// What holds for a group now.
#[derive(Clone, Copy, Debug)]
pub struct GroupSettings {
    pub limits: Limits,
    /// How far records may be read.
    pub read_limit: ReadLimit,
    /// Where a partition starts that the group never shared before.
    pub reset: Reset,
}

/// `share.auto.offset.reset`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    Earliest,
    Latest,
    /// The first record that is not older than this.
    ByDuration(i64),
}

impl Reset {
    fn parse(text: &str) -> Reset {
        match text.strip_prefix("by_duration:").map(parse_duration_ms) {
            Some(Some(ms)) => Reset::ByDuration(ms),
            _ if text == "earliest" => Reset::Earliest,
            _ => Reset::Latest,
        }
    }

    pub fn question(self, now_ms: i64) -> ListOffset {
        match self {
            Reset::Earliest => ListOffset::Earliest,
            Reset::Latest => ListOffset::Latest,
            Reset::ByDuration(ms) => ListOffset::Timestamp(now_ms.saturating_sub(ms).max(0)),
        }
    }
}

impl GroupSettings {
    pub fn of(broker: &Broker, group: &str) -> GroupSettings {
        let image = broker.image();
        let own = image.configs.of(&ConfigResource {
            kind: ConfigResourceType::GROUP,
            name: group.to_owned(),
        });
        let values = &broker.settings.values;
        let own = |key: &str| own.get(key).map(String::as_str);
        let bounded = |key: &str| {
            let of_broker = |prefix: &str| values.int(&format!("group.share.{prefix}{key}"));
            let own: Option<i32> = own(&format!("share.{key}")).and_then(|v| v.trim().parse().ok());
            own.map_or(of_broker(""), |value| {
                value.max(of_broker("min.")).min(of_broker("max."))
            })
        };
        let deliveries = bounded("delivery.count.limit");
        let renewal = own("share.renew.acknowledge.enable");
        GroupSettings {
            limits: Limits {
                deliveries: i16::try_from(deliveries).unwrap_or(i16::MAX),
                lock_ms: i64::from(bounded("record.lock.duration.ms")),
                locks: i64::from(bounded("partition.max.record.locks")),
                allows_renewal: renewal.is_none_or(|text| !text.eq_ignore_ascii_case("false")),
            },
            read_limit: match own("share.isolation.level") {
                Some("read_committed") => ReadLimit::LastStable,
                _ => ReadLimit::HighWatermark,
            },
            reset: own("share.auto.offset.reset").map_or(Reset::Latest, Reset::parse),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_read() {
        assert_eq!(Reset::parse("earliest"), Reset::Earliest);
        assert_eq!(Reset::parse("latest"), Reset::Latest);
        let hour = Reset::parse("by_duration:PT1H");
        assert_eq!(hour, Reset::ByDuration(3_600_000));
        assert_eq!(hour.question(3_600_005), ListOffset::Timestamp(5));
    }
}
