//! What a process costs, as Linux counts it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// The unit of `/proc/PID/stat`: Linux's `USER_HZ`, which is the same on all machines that matter here.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of CPU, user and system, of the process and all its threads so far.
pub fn cpu_seconds(pid: u32) -> f64 {
    stat_seconds(&pid.to_string(), 11)
}

/// The same of all children of this process that have ended and been waited for. Unlike the sum of their own counters
/// it is not rounded down for each.
pub fn children_cpu_seconds() -> f64 {
    stat_seconds("self", 13)
}

/// The sum of two neighbouring fields of `/proc/PID/stat`, counted from behind the name.
fn stat_seconds(pid: &str, first: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    // The name may hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks = fields.split(' ').skip(first).take(2);
    let ticks = ticks.map(|text| text.parse::<u64>().expect("a number of ticks"));
    ticks.sum::<u64>() as f64 / TICKS_PER_SECOND
}

/// A line of `/proc/PID/status` such as `VmRSS`, in MB; none if the process has ended.
fn status_mb(pid: u32, key: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Resident memory now, in MB.
pub fn rss_mb(pid: u32) -> f64 {
    status_mb(pid, "VmRSS").expect("the process is there")
}

/// What a command took from its start to its end.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub wall_s: f64,
    pub cpu_s: f64,
    pub peak_rss_mb: f64,
}

/// Runs a command whose output goes to a file or nowhere; panics if it fails.
pub fn run(mut command: Command, stdin: Stdio, stdout: Stdio) -> Cost {
    let start = Instant::now();
    let child = command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn();
    let child = child.unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let pid = child.id();
    let ended = Arc::new(AtomicBool::new(false));
    let peak = thread::spawn({
        let ended = ended.clone();
        move || sample_peak(pid, &ended)
    });
    wait_unreaped(&child);
    let wall_s = start.elapsed().as_secs_f64();
    let cpu_s = cpu_seconds(pid);
    ended.store(true, Ordering::Relaxed);
    let peak_rss_mb = peak.join().expect("the sampler");
    let output = child.wait_with_output().expect("the child");
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Cost {
        wall_s,
        cpu_s,
        peak_rss_mb,
    }
}

/// Waits until the process has ended but leaves it, so that its counters can be read.
fn wait_unreaped(child: &Child) {
    let pid = Pid::from_child(child);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(pid), options).is_err_and(|e| e == rustix::io::Errno::INTR) {}
}

/// The high-water mark of resident memory, read until the process ends.
fn sample_peak(pid: u32, ended: &AtomicBool) -> f64 {
    let start = Instant::now();
    let mut peak = 0.0;
    while !ended.load(Ordering::Relaxed) {
        match status_mb(pid, "VmHWM") {
            Some(mb) => peak = mb,
            None => break,
        }
        let young = start.elapsed() < Duration::from_millis(200);
        thread::sleep(Duration::from_micros(if young { 300 } else { 20_000 }));
    }
    peak
}

/// `/proc/loadavg`'s three numbers.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The file as a command's standard input.
pub fn input(path: &PathBuf) -> Stdio {
    File::open(path).expect("the input").into()
}

/// The file, made anew, as a command's standard output.
pub fn output(path: &PathBuf) -> Stdio {
    File::create(path).expect("the output").into()
}
