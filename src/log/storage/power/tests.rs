//! What a simulated loss of power may leave.
use super::*;

const DIR: &str = "/d";

fn write(disk: &PowerDisk, name: &str, bytes: &[u8]) -> File {
    let file = disk
        .open(&Path::new(DIR).join(name), OpenMode::Write)
        .unwrap();
    disk.write_at(&file, &mut [IoSlice::new(bytes)], 0).unwrap();
    file
}

fn left(disk: &PowerDisk) -> BTreeMap<String, Vec<u8>> {
    let entries = disk.read_dir(Path::new(DIR)).unwrap();
    let read = |entry: DirEntry| {
        let file = disk.open(&Path::new(DIR).join(&entry.name), OpenMode::Read);
        (entry.name, contents_of(&file.unwrap()).unwrap())
    };
    entries.into_iter().map(read).collect()
}

/// All that a loss of power may leave of what `work` does, by tries.
fn outcomes(work: impl Fn(&PowerDisk)) -> BTreeSet<BTreeMap<String, Vec<u8>>> {
    let outcome = |seed| {
        let disk = PowerDisk::new(Path::new(DIR), seed);
        work(&disk);
        disk.lose_power(seed % 2 == 0);
        left(&disk)
    };
    (0..200).map(outcome).collect()
}

#[test]
fn what_was_forced_stays_and_nothing_else_has_to() {
    let forced = outcomes(|disk| {
        disk.sync(&write(disk, "a", b"abc")).unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
    });
    assert_eq!(forced.len(), 1);
    let nameless = outcomes(|disk| disk.sync(&write(disk, "a", b"abc")).unwrap());
    assert_eq!(nameless.len(), 2, "{nameless:?}");
    let torn = outcomes(|disk| {
        write(disk, "a", b"abc");
        disk.sync_dir(Path::new(DIR)).unwrap();
    });
    // "", "a", "ab", "abc", and zeroes where the size came first.
    assert_eq!(torn.len(), 5, "{torn:?}");
}

#[test]
fn a_renamed_file_has_one_of_its_names() {
    let renamed = outcomes(|disk| {
        disk.sync(&write(disk, "a", b"abc")).unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
        disk.rename(&Path::new(DIR).join("a"), &Path::new(DIR).join("b"))
            .unwrap();
    });
    assert_eq!(renamed.len(), 2);
    assert!(renamed.iter().all(|names| names.len() == 1));
}
