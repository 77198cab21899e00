use super::*;

const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";

fn formatter(root: &Path) -> Formatter {
    Formatter {
        node_id: 1,
        cluster_id: CLUSTER.to_owned(),
        directories: vec![root.join("a"), root.join("b")],
        metadata_directory: root.join("a"),
        release_version: None,
        feature_levels: BTreeMap::new(),
        scram: Vec::new(),
        quorum: InitialQuorum::Static,
        ignore_formatted: false,
        unstable: false,
    }
}

/// A source of different numbers.
fn counter() -> impl FnMut() -> u128 {
    let mut next = 0;
    move || {
        next += 1;
        next << 64
    }
}

fn refusal(formatter: &Formatter) -> String {
    formatter.run(1, counter()).unwrap_err().to_string()
}

fn levels(records: &[VersionedRecord]) -> Vec<(String, i16)> {
    let level = |record: &VersionedRecord| match &record.record {
        MetadataRecord::FeatureLevel(record) => Some((record.name.clone(), record.feature_level)),
        _ => None,
    };
    records.iter().filter_map(level).collect()
}

#[test]
fn a_new_directory_gets_what_kafka_writes() {
    let root = tempfile::tempdir().unwrap();
    let formatted = formatter(root.path()).run(1, counter()).unwrap();
    let kinds: Vec<_> = formatted
        .directories
        .iter()
        .map(|(_, kind)| *kind)
        .collect();
    assert_eq!(kinds, [DirectoryKind::Metadata, DirectoryKind::Data]);
    let genuine = crate::metadata::fixture_tests::fixture("bootstrap.checkpoint");
    assert_eq!(formatted.records, Snapshot::read(&genuine).unwrap().records);
    assert_eq!(formatted.records, default_bootstrap_records());
    for (directory, _) in &formatted.directories {
        let written = Snapshot::read(&directory.join("bootstrap.checkpoint")).unwrap();
        assert_eq!(written.records, formatted.records);
        assert_eq!(written.last_contained_timestamp_ms, 0);
    }
    let ensemble =
        MetaPropertiesEnsemble::load(formatted.directories.iter().map(|(path, _)| path.as_path()))
            .unwrap();
    ensemble.verify(Some(CLUSTER), Some(1)).unwrap();
    assert!(ensemble.empty.is_empty());
}

#[test]
fn formatted_directories_are_not_formatted_again() {
    let root = tempfile::tempdir().unwrap();
    let mut formatter = formatter(root.path());
    formatter.directories.truncate(1);
    formatter.run(1, counter()).unwrap();
    let first = root.path().join("a").display().to_string();
    assert_eq!(
        refusal(&formatter),
        format!(
            "Log directory {first} is already formatted. Use --ignore-formatted to ignore this \
             directory and format the others."
        )
    );
    formatter.ignore_formatted = true;
    formatter.directories.push(root.path().join("b"));
    let formatted = formatter.run(1, || 77 << 64).unwrap();
    assert_eq!(
        formatted.directories,
        [(root.path().join("b"), DirectoryKind::Data)]
    );
    assert!(formatter.run(1, counter()).unwrap().directories.is_empty());
    formatter.cluster_id = "VVCqlWndQvC92f7oLk3SqQ".to_owned();
    assert_eq!(
        refusal(&formatter),
        format!(
            "Invalid cluster.id in: {first}/meta.properties. Expected VVCqlWndQvC92f7oLk3SqQ, but \
             read {CLUSTER}"
        )
    );
}

#[test]
fn releases_and_features_choose_the_levels() {
    let root = tempfile::tempdir().unwrap();
    let with = |release: Option<&str>, features: &[(&str, i16)]| {
        let mut formatter = formatter(&root.path().join("levels"));
        formatter.release_version = release.map(|r| MetadataVersion::parse(r, false).unwrap());
        formatter.feature_levels = features
            .iter()
            .map(|(name, level)| ((*name).to_owned(), *level))
            .collect();
        let result = formatter.run(1, counter());
        let _ = std::fs::remove_dir_all(root.path().join("levels"));
        result
            .map(|formatted| levels(&formatted.records))
            .map_err(|error| error.to_string())
    };
    let level = |name: &str, level| (name.to_owned(), level);
    assert_eq!(
        with(Some("3.8"), &[]).unwrap(),
        [level("metadata.version", 20)]
    );
    assert_eq!(
        with(Some("4.0"), &[]).unwrap(),
        [
            level("metadata.version", 25),
            level("group.version", 1),
            level("transaction.version", 2)
        ]
    );
    assert_eq!(
        with(None, &[("metadata.version", 20)]).unwrap(),
        [level("metadata.version", 20)]
    );
    assert_eq!(
        with(None, &[("group.version", 0), ("share.version", 0)])
            .unwrap()
            .len(),
        4
    );
    assert_eq!(
        with(None, &[("no.such", 1)]).unwrap_err(),
        "Unsupported feature: no.such. Supported features are: eligible.leader.replicas.version, \
         group.version, kraft.version, share.version, streams.version, transaction.version"
    );
    assert_eq!(
        with(Some("3.9"), &[("eligible.leader.replicas.version", 1)]).unwrap_err(),
        "eligible.leader.replicas.version could not be set to 1 because it depends on \
         metadata.version level 23"
    );
    assert!(
        with(None, &[("kraft.version", 1)])
            .unwrap_err()
            .starts_with("Cannot set kraft.version to 1 unless")
    );
}

#[test]
fn a_dynamic_quorum_starts_from_a_snapshot_of_its_voters() {
    let root = tempfile::tempdir().unwrap();
    let mut formatter = formatter(root.path());
    let voters = parse_voters("1@localhost:21901:EdWup30TRU6Pg6-qqlfskA").unwrap();
    formatter.quorum = InitialQuorum::Dynamic {
        listener: "CONTROLLER".to_owned(),
        voters,
    };
    let formatted = formatter.run(5, counter()).unwrap();
    assert_eq!(
        formatted.directories[0].1,
        DirectoryKind::DynamicMetadataVoter
    );
    let log = root.path().join("a").join(METADATA_LOG_DIRECTORY);
    let ours = Snapshot::read(&log.join(SnapshotId::BOOTSTRAP.file_name())).unwrap();
    let genuine = crate::metadata::fixture_tests::fixture("standalone-0-0.checkpoint");
    assert_eq!(ours.quorum, Snapshot::read(&genuine).unwrap().quorum);
    let properties = MetaProperties::read(&root.path().join("a"))
        .unwrap()
        .unwrap();
    assert_eq!(
        properties.directory_id.unwrap().to_string(),
        "EdWup30TRU6Pg6-qqlfskA"
    );
}

#[test]
fn the_bootstrap_line_is_kafkas() {
    let text = describe_bootstrap(&default_bootstrap_records()[..1]);
    assert_eq!(
        text,
        "Bootstrap metadata: BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(\
         name='metadata.version', featureLevel=30) at version 0)], metadataVersionLevel=30, \
         source=format command)"
    );
}
