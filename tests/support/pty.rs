//! A terminal of which a test is the user: a pseudo-terminal of 120 columns.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The user's side, and what the screen has shown so far.
pub struct Pty {
    keyboard: File,
    name: std::ffi::CString,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
    /// Until a program has the other side: without anyone there, the screen ends.
    kept: Option<OwnedFd>,
}

impl Pty {
    pub fn open() -> Pty {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let keyboard = File::from(ours);
        let mut from = keyboard.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let mut pty = Pty {
            keyboard,
            name,
            screen: Arc::clone(&screen),
            reader: None,
            kept: None,
        };
        pty.kept = Some(pty.other_side());
        pty.reader = Some(thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends with an error once nobody has the other side.
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                screen.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        }));
        pty
    }

    /// The program's side: for its stdin, stdout or stderr.
    pub fn other_side(&self) -> OwnedFd {
        open(
            self.name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap()
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// What the screen has shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// All that was shown, once every program has left.
    pub fn all_shown(mut self) -> String {
        drop(self.kept.take());
        self.reader.take().unwrap().join().unwrap();
        self.shown()
    }
}
