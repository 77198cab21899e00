//! Directories that get nothing new (KIP-1066).

use super::*;
use crate::moves::alter;

fn cordon(c: &mut Connection, value: Option<&str>) -> (i16, Option<String>) {
    alter_broker(c, "cordoned.log.dirs", value)
}

fn cordoned(c: &mut Connection) -> Vec<bool> {
    describe(c).iter().map(|dir| dir.is_cordoned).collect()
}

/// KIP-1066, as far as one node has it.
#[test]
fn a_cordoned_directory_gets_nothing_new() {
    const INVALID_REPLICATION_FACTOR: i16 = 38;
    const INVALID_REPLICA_ASSIGNMENT: i16 = 39;
    const INVALID_REQUEST: i16 = 42;
    let dirs = Dirs::new();
    let [first, second] = dirs.paths();
    let name = |dir: &Path| dir.display().to_string();
    let setup = || dirs.setup().set("cordoned.log.dirs", name(&second));
    let mut broker = setup().start();
    let mut c = Connection::open(broker.port);
    assert_eq!(cordoned(&mut c), [false, true]);
    put(&mut c, "t");
    assert!(hosted(&mut c).values().all(|dir| *dir == first));
    assert_eq!(alter(&mut c, "t", 0, &second), INVALID_REPLICA_ASSIGNMENT);

    assert_eq!(cordon(&mut c, Some("*")), (0, None));
    assert_eq!(cordoned(&mut c), [true, true]);
    let refused = c.try_create_topic("u", 1, &[]).unwrap();
    assert_eq!(refused, INVALID_REPLICATION_FACTOR);
    let (error, message) = cordon(&mut c, Some("/nowhere"));
    assert_eq!(error, INVALID_REQUEST);
    assert!(message.unwrap().ends_with("Missing entries : /nowhere"));
    assert_eq!(cordon(&mut c, Some(&name(&first))), (0, None));
    put(&mut c, "u");
    let in_second = |c: &mut Connection| hosted(c).values().filter(|dir| **dir == second).count();
    assert_eq!(in_second(&mut c), 4);
    assert!(broker.stop().success());

    // What was set while it ran outlives the stop.
    let broker = setup().start();
    let mut c = Connection::open(broker.port);
    assert_eq!(cordoned(&mut c), [true, false]);
    assert_eq!(cordon(&mut c, None), (0, None));
    assert_eq!(cordoned(&mut c), [false, true]);
    check(&mut c, "t");
    check(&mut c, "u");
}
