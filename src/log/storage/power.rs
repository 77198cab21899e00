//! A disk for tests that knows what a loss of power may take: of each file what was forced to the
//! device and what was not, and of each directory which of its names. All of it is in memory.
//!
//! Two kinds of file system are simulated. On one that keeps its changes of names in order, a loss
//! of power takes the last of them; on one that does not, any of them, a change of a name before a
//! later one of the same name. The bytes of files are torn at will on both.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, memfd_create};

use super::{DirEntry, Disk, OpenMode, RealDisk};

/// Bytes that a device writes as a whole.
const SECTOR_BYTES: usize = 512;
const ROOT: NodeId = 0;

type NodeId = usize;

/// Numbers that look random, the same for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A change of a file that was not forced to the device.
#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Size(usize),
}

#[derive(Debug)]
struct SimFile {
    /// What everyone sees.
    file: File,
    durable: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Debug, Default)]
struct SimDir {
    names: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
}

#[derive(Debug)]
enum Node {
    File(SimFile),
    Dir(SimDir),
}

/// A change of a directory that was not forced to the device: what its names are from then on.
#[derive(Debug)]
struct Renaming {
    dir: NodeId,
    names: Vec<(String, Option<NodeId>)>,
}

#[derive(Debug)]
struct State {
    nodes: BTreeMap<NodeId, Node>,
    /// From the inode of what a file's bytes are in.
    files: BTreeMap<u64, NodeId>,
    next: NodeId,
    renamings: Vec<Renaming>,
    dice: Dice,
    /// Changing operations left before the power is cut.
    countdown: Option<u64>,
    struck: bool,
}

/// See the module's head.
#[derive(Debug)]
pub struct PowerDisk(Mutex<State>);

impl PowerDisk {
    /// An empty disk with one directory, on the device.
    pub fn new(dir: &Path, seed: u64) -> Self {
        let root = Node::Dir(SimDir::default());
        let disk = Self(Mutex::new(State {
            nodes: BTreeMap::from([(ROOT, root)]),
            files: BTreeMap::new(),
            next: ROOT + 1,
            renamings: Vec::new(),
            dice: Dice(seed),
            countdown: None,
            struck: false,
        }));
        let mut parents: Vec<&Path> = dir.ancestors().collect();
        // The last one is the root.
        parents.pop();
        for dir in parents.into_iter().rev() {
            disk.create_dir(dir).unwrap();
        }
        disk.sync_filesystem(dir).unwrap();
        disk
    }

    /// The power goes at the `n`-th changing operation from now: it, perhaps, and all later ones
    /// fail.
    pub fn cut_at(&self, n: u64) {
        self.0.lock().countdown = Some(n);
    }

    /// Calls off what [`Self::cut_at`] ordered.
    pub fn spare(&self) {
        self.0.lock().countdown = None;
    }

    /// Whether the power is gone.
    pub fn struck(&self) -> bool {
        self.0.lock().struck
    }

    /// What a loss of power leaves, whether it has struck before or does now. With `ordered`, names
    /// are changed in order.
    pub fn lose_power(&self, ordered: bool) {
        let mut state = self.0.lock();
        state.lose_names(ordered);
        state.lose_bytes();
        state.countdown = None;
        state.struck = false;
    }

    /// The whole disk, as lines to compare.
    pub fn describe(&self) -> String {
        let state = self.0.lock();
        let mut lines = Vec::new();
        state.describe(ROOT, &PathBuf::from("/"), &mut lines);
        lines.join("\n")
    }

    fn change<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock();
        if state.struck {
            return Err(no_power());
        }
        if state.countdown == Some(0) {
            state.struck = true;
            if state.dice.one_in(2) {
                let _ = work(&mut state);
            }
            return Err(no_power());
        }
        state.countdown = state.countdown.map(|left| left - 1);
        work(&mut state)
    }
}

fn no_power() -> io::Error {
    io::Error::other("no power")
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl State {
    fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let name = name.to_str().ok_or_else(not_found)?;
                at = *self.dir(at)?.names.get(name).ok_or_else(not_found)?;
            }
        }
        Ok(at)
    }

    /// The directory that holds `path`, and the name in it.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(NodeId, &'p str)> {
        let name = path.file_name().and_then(|name| name.to_str());
        let parent = path.parent().ok_or_else(not_found)?;
        Ok((self.find(parent)?, name.ok_or_else(not_found)?))
    }

    fn dir(&self, id: NodeId) -> io::Result<&SimDir> {
        match self.nodes.get(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(not_found()),
        }
    }

    fn dir_mut(&mut self, id: NodeId) -> io::Result<&mut SimDir> {
        match self.nodes.get_mut(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(not_found()),
        }
    }

    fn file(&self, id: NodeId) -> io::Result<&SimFile> {
        match self.nodes.get(&id) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(not_found()),
        }
    }

    fn file_mut(&mut self, file: &File) -> io::Result<&mut SimFile> {
        let id = self.files.get(&file.metadata()?.ino()).copied();
        match id.and_then(|id| self.nodes.get_mut(&id)) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(not_found()),
        }
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        id
    }

    fn set_names(&mut self, dir: NodeId, names: Vec<(String, Option<NodeId>)>) -> io::Result<()> {
        apply(&mut self.dir_mut(dir)?.names, &names);
        self.renamings.push(Renaming { dir, names });
        Ok(())
    }

    fn create_file(&mut self, path: &Path) -> io::Result<NodeId> {
        let (dir, name) = self.parent(path)?;
        let file = File::from(memfd_create("simulated", MemfdFlags::CLOEXEC)?);
        let inode = file.metadata()?.ino();
        let id = self.add(Node::File(SimFile {
            file,
            durable: Vec::new(),
            changes: Vec::new(),
        }));
        self.files.insert(inode, id);
        self.set_names(dir, vec![(name.to_owned(), Some(id))])?;
        Ok(id)
    }

    fn sync_dir(&mut self, id: NodeId) -> io::Result<()> {
        let dir = self.dir_mut(id)?;
        dir.durable = dir.names.clone();
        self.renamings.retain(|renaming| renaming.dir != id);
        Ok(())
    }

    fn remove_tree(&mut self, id: NodeId) -> io::Result<()> {
        for (name, child) in self.dir(id)?.names.clone() {
            if self.dir(child).is_ok() {
                self.remove_tree(child)?;
            }
            self.set_names(id, vec![(name, None)])?;
        }
        Ok(())
    }

    fn lose_names(&mut self, ordered: bool) {
        let renamings = std::mem::take(&mut self.renamings);
        let kept = self.dice.below(renamings.len() + 1);
        let mut lost = BTreeSet::new();
        for (at, renaming) in renamings.iter().enumerate() {
            let dir = renaming.dir;
            let depends = |(name, _): &(String, _)| lost.contains(&(dir, name.clone()));
            let is_lost = match ordered {
                true => at >= kept,
                false => renaming.names.iter().any(depends) || self.dice.one_in(3),
            };
            if is_lost {
                let names = renaming.names.iter().map(|(name, _)| (dir, name.clone()));
                lost.extend(names);
            } else if let Ok(dir) = self.dir_mut(dir) {
                apply(&mut dir.durable, &renaming.names);
            }
        }
        for node in self.nodes.values_mut() {
            if let Node::Dir(dir) = node {
                dir.names = dir.durable.clone();
            }
        }
        let mut reached = BTreeSet::new();
        self.reach(ROOT, &mut reached);
        self.nodes.retain(|id, _| reached.contains(id));
        self.files.retain(|_, id| reached.contains(id));
    }

    fn reach(&self, id: NodeId, reached: &mut BTreeSet<NodeId>) {
        if reached.insert(id)
            && let Ok(dir) = self.dir(id)
        {
            dir.names.values().for_each(|id| self.reach(*id, reached));
        }
    }

    fn lose_bytes(&mut self) {
        let dice = &mut self.dice;
        for node in self.nodes.values_mut() {
            let Node::File(file) = node else { continue };
            if file.changes.is_empty() {
                continue;
            }
            let changes = std::mem::take(&mut file.changes);
            file.durable = survived(dice, std::mem::take(&mut file.durable), &changes);
            file.file.set_len(0).unwrap();
            file.file.write_all_at(&file.durable, 0).unwrap();
        }
    }

    fn describe(&self, id: NodeId, path: &Path, lines: &mut Vec<String>) {
        for (name, id) in self.dir(id).map(|dir| &dir.names).into_iter().flatten() {
            let path = path.join(name);
            match self.file(*id) {
                Ok(file) => {
                    let size = file.file.metadata().map_or(0, |metadata| metadata.len());
                    let unsynced = file.changes.len();
                    let path = path.display();
                    lines.push(format!("{path} {size} bytes, {unsynced} changes unsynced"));
                }
                Err(_) => self.describe(*id, &path, lines),
            }
        }
    }
}

fn apply(names: &mut BTreeMap<String, NodeId>, changes: &[(String, Option<NodeId>)]) {
    for (name, id) in changes {
        match id {
            Some(id) => drop(names.insert(name.clone(), *id)),
            None => drop(names.remove(name)),
        }
    }
}

/// What is left of a file: nothing of the changes, all of them, the first of them with the next one
/// torn, or any, each torn.
fn survived(dice: &mut Dice, mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    let (whole, torn) = match dice.below(5) {
        0 => (0, 0),
        1 => (changes.len(), 0),
        2 | 3 => (dice.below(changes.len()), 1),
        _ => (0, changes.len()),
    };
    for change in changes.iter().take(whole) {
        change.make(&mut bytes);
    }
    for change in changes.iter().skip(whole).take(torn) {
        change.tear(&mut bytes, dice);
    }
    bytes
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Size(size) => bytes.resize(*size, 0),
            Self::Write { at, bytes: written } => {
                bytes.resize(bytes.len().max(at + written.len()), 0);
                bytes[*at..at + written.len()].copy_from_slice(written);
            }
        }
    }

    /// Of a write some sectors, or the first bytes; the size may be there before what it covers.
    fn tear(&self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        let Self::Write { at, bytes: written } = self else {
            if dice.one_in(2) {
                self.make(bytes);
            }
            return;
        };
        if dice.one_in(2) {
            let end = at + dice.below(written.len() + 1);
            bytes.resize(bytes.len().max(end), 0);
            bytes[*at..end].copy_from_slice(&written[..end - at]);
            return;
        }
        if dice.one_in(2) {
            bytes.resize(bytes.len().max(at + written.len()), 0);
        }
        let mut from = 0;
        while from < written.len() {
            let sector_end = ((at + from) / SECTOR_BYTES + 1) * SECTOR_BYTES - at;
            let to = sector_end.min(written.len());
            if dice.one_in(2) {
                bytes.resize(bytes.len().max(at + to), 0);
                bytes[at + from..at + to].copy_from_slice(&written[from..to]);
            }
            from = to;
        }
    }
}

fn contents_of(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Disk for PowerDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        let found = self.0.lock().find(path);
        let writes = matches!(mode, OpenMode::Write | OpenMode::Truncate);
        match found {
            Err(_) if writes => self.change(|state| {
                let id = state.create_file(path)?;
                state.file(id)?.file.try_clone()
            }),
            Err(e) => Err(e),
            Ok(id) if mode == OpenMode::Truncate => self.change(|state| {
                let file = state.file(id)?.file.try_clone()?;
                file.set_len(0)?;
                state.file_mut(&file)?.changes.push(Change::Size(0));
                Ok(file)
            }),
            Ok(id) => {
                let state = self.0.lock();
                match state.struck {
                    true => Err(no_power()),
                    false => state.file(id)?.file.try_clone(),
                }
            }
        }
    }

    fn read_at(&self, file: &File, buf: &mut [u8], position: u64) -> io::Result<usize> {
        match self.struck() {
            true => Err(no_power()),
            false => RealDisk.read_at(file, buf, position),
        }
    }

    fn write_at(&self, file: &File, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        self.change(|state| {
            file.write_all_at(&bytes, position)?;
            let at = position as usize;
            let changes = &mut state.file_mut(file)?.changes;
            changes.push(Change::Write { at, bytes });
            Ok(())
        })
    }

    fn size(&self, file: &File) -> io::Result<u64> {
        RealDisk.size(file)
    }

    fn set_size(&self, file: &File, size: u64) -> io::Result<()> {
        self.change(|state| {
            file.set_len(size)?;
            let changes = &mut state.file_mut(file)?.changes;
            changes.push(Change::Size(size as usize));
            Ok(())
        })
    }

    fn allocate(&self, _file: &File, _size: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.change(|state| {
            let file = state.file_mut(file)?;
            file.durable = contents_of(&file.file)?;
            file.changes.clear();
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            let id = state.find(path)?;
            state.sync_dir(id)
        })
    }

    fn sync_filesystem(&self, _path: &Path) -> io::Result<()> {
        self.change(|state| {
            state.renamings.clear();
            for node in state.nodes.values_mut() {
                match node {
                    Node::Dir(dir) => dir.durable = dir.names.clone(),
                    Node::File(file) => {
                        file.durable = contents_of(&file.file)?;
                        file.changes.clear();
                    }
                }
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let (dir, old) = state.parent(from)?;
            let (to_dir, new) = state.parent(to)?;
            if dir != to_dir {
                return Err(io::ErrorKind::CrossesDevices.into());
            }
            let id = state.dir(dir)?.names.get(old).copied();
            let id = id.ok_or_else(not_found)?;
            let names = vec![(old.to_owned(), None), (new.to_owned(), Some(id))];
            state.set_names(dir, names)
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.lock().find(path)?;
        self.change(|state| {
            let (dir, name) = state.parent(path)?;
            state.set_names(dir, vec![(name.to_owned(), None)])
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            let (dir, name) = state.parent(path)?;
            if state.find(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let id = state.add(Node::Dir(SimDir::default()));
            state.set_names(dir, vec![(name.to_owned(), Some(id))])
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.lock().find(path)?;
        self.change(|state| {
            let id = state.find(path)?;
            state.remove_tree(id)?;
            let (dir, name) = state.parent(path)?;
            state.set_names(dir, vec![(name.to_owned(), None)])
        })
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.0.lock();
        let names = &state.dir(state.find(path)?)?.names;
        let entry = |(name, id): (&String, &NodeId)| DirEntry {
            name: name.clone(),
            is_dir: state.dir(*id).is_ok(),
        };
        Ok(names.iter().map(entry).collect())
    }

    fn stat(&self, path: &Path) -> io::Result<(u64, i64)> {
        let state = self.0.lock();
        let id = state.find(path)?;
        match state.file(id) {
            Ok(file) => Ok((file.file.metadata()?.len(), 0)),
            Err(_) => Ok((0, 0)),
        }
    }
}

#[cfg(test)]
mod tests;
