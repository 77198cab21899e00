use super::*;
use crate::protocol::messages::UpdateFeaturesRequest;
use crate::protocol::messages::update_features_request::FeatureUpdateKey;

fn update(cluster: &mut Cluster, name: &str, level: i16, upgrade_type: i8) -> Result<(), String> {
    let request = UpdateFeaturesRequest {
        feature_updates: vec![FeatureUpdateKey {
            feature: name.to_owned(),
            max_version_level: level,
            upgrade_type,
            ..Default::default()
        }],
        ..Default::default()
    };
    let result = cluster
        .controller
        .update_features(&cluster.image, &request, 2);
    cluster.apply(&result.records);
    match result.response.error_message {
        None => Ok(()),
        Some(message) => Err(message),
    }
}

#[test]
fn levels_go_up_and_down_as_asked() {
    let mut cluster = Cluster::running();
    assert_eq!(update(&mut cluster, "share.version", 0, 2), Ok(()));
    assert_eq!(cluster.image.features.level("share.version"), 0);
    assert_eq!(update(&mut cluster, "share.version", 1, 1), Ok(()));
    assert_eq!(cluster.image.features.level("share.version"), 1);
}

#[test]
fn impossible_updates_are_refused_in_kafkas_words() {
    let mut cluster = Cluster::running();
    for (name, level, upgrade, expected) in [
        (
            "no.such",
            1,
            1,
            "Invalid update version 1 for feature no.such. Local controller 1 does not support \
             this feature.",
        ),
        (
            "share.version",
            0,
            1,
            "Invalid update version 0 for feature share.version. Can't downgrade the version of \
             this feature without setting the upgrade type to either safe or unsafe downgrade.",
        ),
        (
            "metadata.version",
            29,
            2,
            "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the \
             requested downgrade because it might delete metadata information.",
        ),
        (
            "group.version",
            2,
            1,
            "Invalid update version 2 for feature group.version. Local controller 1 only supports \
             versions 0-1",
        ),
    ] {
        let all = "The update failed for all features since the following feature had an error: ";
        assert_eq!(
            update(&mut cluster, name, level, upgrade),
            Err(format!("{all}{expected}"))
        );
    }
    assert_eq!(cluster.image.features.level("metadata.version"), 30);
}
