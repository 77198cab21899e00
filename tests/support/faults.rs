//! Faults of the machine: system calls that fail, and small file systems of one's own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::skip;

/// Makes system calls of a running process fail or take long, until dropped.
pub struct Injection {
    strace: Child,
}

impl Injection {
    /// Every call of `calls` (as strace names them, with commas between) that has to do with one of `paths` fails
    /// with `error`. None, after saying so, where processes cannot be traced.
    pub fn start(
        test: &str,
        pid: u32,
        calls: &str,
        error: &str,
        paths: &[&Path],
    ) -> Option<Injection> {
        Injection::of(test, pid, calls, &format!("error={error}"), paths)
    }

    /// Every such call takes `delay` longer.
    pub fn slow(
        test: &str,
        pid: u32,
        calls: &str,
        delay: Duration,
        paths: &[&Path],
    ) -> Option<Injection> {
        let what = format!("delay_enter={}", delay.as_micros());
        Injection::of(test, pid, calls, &what, paths)
    }

    fn of(test: &str, pid: u32, calls: &str, what: &str, paths: &[&Path]) -> Option<Injection> {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-o", "/dev/null", "-p", &pid.to_string()])
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:{what}")]);
        for path in paths {
            command.arg("-P").arg(path);
        }
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut strace) = started else {
            skip(test, "strace is missing");
            return None;
        };
        let mut said = String::new();
        let mut lines = BufReader::new(strace.stderr.take().unwrap()).lines();
        while let Some(line) = lines.next() {
            let line = line.unwrap();
            said.push_str(&line);
            said.push('\n');
            if line.contains("attached") {
                // It tells of each new thread, and ends if nobody listens.
                thread::spawn(move || lines.for_each(drop));
                return Some(Injection { strace });
            }
            if line.contains("Requested path") {
                continue;
            }
        }
        let _ = strace.wait();
        assert!(
            said.contains("not permitted") || said.contains("not implemented"),
            "strace cannot attach: {said}"
        );
        skip(test, "processes cannot be traced");
        None
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // On a signal that it can handle strace lets go of what it traces.
        let pid = self.strace.id().to_string();
        let _ = Command::new("kill").args(["-s", "INT", &pid]).status();
        let _ = self.strace.wait();
    }
}

/// A file system of its own, gone with this.
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// None, after saying so, where mounting is not allowed.
    pub fn mount(at: &Path, megabytes: u32, test: &str) -> Option<SmallDisk> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk { at: at.to_owned() }),
            _ => {
                skip(test, "a tmpfs cannot be mounted");
                None
            }
        }
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Leaves about this much room.
    pub fn fill(&self, bytes_left: u64) {
        let stat = rustix::fs::statvfs(&self.at).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        let size = usize::try_from(free.saturating_sub(bytes_left)).unwrap();
        fs::write(self.ballast(), vec![1; size]).unwrap();
    }

    /// Leaves no room at all.
    pub fn fill_up(&self) {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(self.ballast())
            .unwrap();
        while file.write_all(&[1; 512]).is_ok() {}
    }

    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).status();
        assert!(unmounted.unwrap().success());
    }
}

/// Runs a test of this binary again in a user name space where it may mount, unless it may here, and tells whether that
/// is what happens now: `false` if the test has been run elsewhere.
pub fn may_mount(test: &str) -> bool {
    const INSIDE: &str = "KAFKARS_TEST_IN_NAMESPACE";
    let can_unshare = || {
        let tried = Command::new("unshare").args(["-Urm", "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    if std::env::var_os(INSIDE).is_some() || !can_unshare() {
        return true;
    }
    let ran = Command::new("unshare")
        .args(["-Urm", "--"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status();
    assert!(ran.unwrap().success(), "{test} failed in its name space");
    false
}
