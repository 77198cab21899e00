//! Client quotas.

use std::collections::BTreeMap;

use crate::protocol::records::metadata::ClientQuotaRecord;

/// Entity type → name, None for the default entity of that type.
pub type QuotaEntity = BTreeMap<String, Option<String>>;

/// Quota values by entity and key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuotasImage {
    pub by_entity: BTreeMap<QuotaEntity, BTreeMap<String, f64>>,
}

impl QuotasImage {
    pub(super) fn replay(&mut self, record: &ClientQuotaRecord) {
        let entity: QuotaEntity = record
            .entity
            .iter()
            .map(|part| (part.entity_type.clone(), part.entity_name.clone()))
            .collect();
        let quotas = self.by_entity.entry(entity.clone()).or_default();
        if record.remove {
            quotas.remove(&record.key);
            if quotas.is_empty() {
                self.by_entity.remove(&entity);
            }
        } else {
            quotas.insert(record.key.clone(), record.value);
        }
    }
}
