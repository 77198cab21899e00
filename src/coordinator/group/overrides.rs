//! What the configuration of a group (`kafka-configs --entity-type groups`) says over the broker's.
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::metadata::image::{ConfigResource, ConfigResourceType, MetadataImage};

pub(super) struct Overrides<'a> {
    own: &'a BTreeMap<String, String>,
    for_all: &'a BTreeMap<String, String>,
}

impl<'a> Overrides<'a> {
    pub fn of(group: &str, image: &'a MetadataImage) -> Overrides<'a> {
        let configs = |kind, name: &str| {
            let name = name.into();
            image.configs.of(&ConfigResource { kind, name })
        };
        Overrides {
            own: configs(ConfigResourceType::GROUP, group),
            for_all: configs(ConfigResourceType::BROKER, ""),
        }
    }

    /// The group's own value, kept within the broker's bounds; the broker's where it has none.
    pub fn within(&self, key: &str, bounds: &RangeInclusive<i32>, brokers: i32) -> i32 {
        number(self.own, key).map_or(brokers, |value| {
            value.max(*bounds.start()).min(*bounds.end())
        })
    }

    /// A broker setting that was changed for all brokers while they run.
    pub fn for_all(&self, key: &str) -> Option<i32> {
        number(self.for_all, key)
    }
}

fn number(configs: &BTreeMap<String, String>, key: &str) -> Option<i32> {
    configs.get(key)?.trim().parse().ok()
}
