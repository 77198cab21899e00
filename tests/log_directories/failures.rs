//! What a directory that fails takes with it, and what not.

use super::*;
use crate::support::faults::Injection;

fn leader(c: &mut Connection, topic: &str, partition: i32) -> (i16, i32, Vec<i32>) {
    let request = MetadataRequest {
        topics: Some(vec![metadata_request::MetadataRequestTopic {
            name: Some(topic.to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let response = c.ask(&request, 12);
    let found = response.topics[0].partitions.iter();
    let found = found.clone().find(|p| p.partition_index == partition);
    let found = found.unwrap();
    (
        found.error_code,
        found.leader_id,
        found.offline_replicas.clone(),
    )
}

#[test]
fn a_directory_whose_fsync_fails_goes_offline_alone() {
    const TEST: &str = "a_directory_whose_fsync_fails_goes_offline_alone";
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    c.create_topic("t", 4, &[("flush.messages", "1")]);
    for partition in 0..4 {
        let value = format!("t-{partition}");
        assert_eq!(c.produce("t", partition, batch(&[value.as_bytes()])).0, 0);
    }
    let [first, second] = dirs.paths();
    let at = hosted(&mut c);
    let within = |dir: &Path| -> BTreeSet<i32> {
        let here = at.iter().filter(|(_, at)| *at == dir);
        here.map(|((_, partition), _)| *partition).collect()
    };
    let (good, bad) = (within(&first), within(&second));
    assert_eq!((good.len(), bad.len()), (2, 2));
    let one = *bad.first().unwrap();
    let file = second.join(format!("t-{one}/00000000000000000000.log"));
    let injected = Injection::start(TEST, broker.pid(), "fsync,fdatasync", "EIO", &[&file]);
    let Some(injection) = injected else { return };
    assert_eq!(c.produce("t", one, batch(&[b"lost"])).0, STORAGE_ERROR);
    drop(injection);

    // All of the directory, and for good: the device works again, but who knows what it has.
    for partition in &bad {
        until("the partition is offline", || {
            (leader(&mut c, "t", *partition) == (5, -1, vec![1])).then_some(())
        });
        assert_eq!(c.produce("t", *partition, batch(&[b"x"])).0, STORAGE_ERROR);
        let fetch = support::wire::fetch_request("t", *partition, 0, false);
        let response = c.ask(&fetch, 12);
        let answer = &response.responses[0].partitions[0];
        assert_eq!(answer.error_code, STORAGE_ERROR);
    }
    let described = describe(&mut c);
    let errors: Vec<i16> = described.iter().map(|dir| dir.error_code).collect();
    assert_eq!(errors, [0, STORAGE_ERROR]);
    // The others serve on, and new ones are made beside them.
    for partition in &good {
        assert_eq!(c.produce("t", *partition, batch(&[b"more"])), (0, 1));
    }
    c.create_topic("new", 3, &[]);
    for partition in 0..3 {
        assert_eq!(c.produce("new", partition, batch(&[b"v"])).0, 0);
    }
    assert!(broker.stop().success());
    let log = broker.log();
    let line = format!("log directory {} is offline: ", second.display());
    assert_eq!(log.matches(&line).count(), 1, "{log}");

    // With the next start it is back, recovered, with all that was acknowledged.
    assert!(first.join(".kafka_cleanshutdown").exists());
    assert!(!second.join(".kafka_cleanshutdown").exists());
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    for partition in 0..4 {
        assert_eq!(leader(&mut c, "t", partition), (0, 1, vec![]));
        let first = format!("t-{partition}").into_bytes();
        assert_eq!(values(&mut c, "t", partition)[0], first);
        assert_eq!(c.produce("t", partition, batch(&[b"again"])).0, 0);
    }
}

#[test]
fn a_read_that_fails_while_it_is_sent_takes_the_directory_offline() {
    const TEST: &str = "a_read_that_fails_while_it_is_sent_takes_the_directory_offline";
    let dirs = Dirs::new();
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    let at = fill(&mut c, "t", &dirs.paths());
    let [_, second] = dirs.paths();
    let bad = |((topic, _), dir): &(&(String, i32), &PathBuf)| topic == "t" && **dir == second;
    let bad = at.iter().find(bad).unwrap().0.1;
    // Too large to be copied.
    let large = vec![b'x'; 64 * 1024];
    assert_eq!(c.produce("t", bad, batch(&[&large])).0, 0);
    let file = second.join(format!("t-{bad}/00000000000000000000.log"));
    let injected = Injection::start(TEST, broker.pid(), "sendfile", "EIO", &[&file]);
    let Some(injection) = injected else { return };
    let fetch = support::wire::fetch_request("t", bad, 0, false);
    assert!(c.try_ask(&fetch, 12).is_err(), "half an answer is none");
    drop(injection);
    let mut c = Connection::open(broker.port);
    until("the directory is offline", || {
        (describe(&mut c)[1].error_code == STORAGE_ERROR).then_some(())
    });
    let log = broker.log();
    assert!(
        log.contains(": sendfile ") && log.contains(&file.display().to_string()),
        "{log}"
    );
}

#[test]
fn the_metadata_logs_directory_takes_the_broker_down() {
    const TEST: &str = "the_metadata_logs_directory_takes_the_broker_down";
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    let [first, _] = dirs.paths();
    let file = first.join("__cluster_metadata-0/00000000000000000000.log");
    let injected = Injection::start(TEST, broker.pid(), "fsync,fdatasync", "EIO", &[&file]);
    let Some(injection) = injected else { return };
    assert!(
        c.try_create_topic("t", 1, &[]).is_err(),
        "no broker to answer"
    );
    assert_eq!(broker.ended().code(), Some(1));
    drop(injection);
    let line = format!(
        "Shutdown broker because the metadata log dir {} has failed",
        first.display()
    );
    assert!(broker.log().contains(&line), "{}", broker.log());
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    c.create_topic("u", 1, &[]);
    assert_eq!(c.produce("u", 0, batch(&[b"v"])).0, 0);
}

#[test]
fn a_directory_that_cannot_be_used_at_start_is_left_out() {
    let dirs = Dirs::new();
    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    let at = fill(&mut c, "t", &dirs.paths());
    assert!(broker.stop().success());
    let [first, second] = dirs.paths();
    let aside = dirs.root.path().join("aside");
    std::fs::rename(&second, &aside).unwrap();
    std::fs::write(&second, "not a directory").unwrap();

    let mut broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    for ((topic, partition), dir) in &at {
        if *dir == first {
            check_one(&mut c, topic, *partition);
        } else {
            assert_eq!(leader(&mut c, topic, *partition), (5, -1, vec![1]));
            let refused = c.produce(topic, *partition, batch(&[b"x"])).0;
            assert_eq!(refused, STORAGE_ERROR);
        }
    }
    assert!(broker.stop().success());
    std::fs::remove_file(&second).unwrap();
    std::fs::rename(&aside, &second).unwrap();
    let broker = dirs.setup().start();
    let mut c = Connection::open(broker.port);
    assert_eq!(hosted(&mut c), at);
    check(&mut c, "t");
}

fn check_one(c: &mut Connection, topic: &str, partition: i32) {
    let expected = format!("{topic}-{partition}").into_bytes();
    assert_eq!(values(c, topic, partition), [expected]);
}

#[test]
fn without_a_usable_directory_nothing_starts() {
    let dirs = Dirs::new();
    let mut broker: Broker = dirs.setup().start();
    assert!(broker.stop().success());
    let [first, _] = dirs.paths();
    std::fs::rename(&first, dirs.root.path().join("aside")).unwrap();
    std::fs::write(&first, "not a directory").unwrap();
    let (properties, _) = dirs.setup().write_properties();
    let ran = support::tool(&["server-start".as_ref(), properties.as_os_str()], b"");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(&first.display().to_string()), "{ran:?}");
}
