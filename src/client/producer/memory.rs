//! `buffer.memory`: what batches may hold, and buffers used again.
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::errors::{ClientError, Result};

/// Waiters are woken when this part of the memory is free, not for every batch that ends: what
/// is left keeps the connections busy meanwhile.
const WAKE_PART: usize = 8;

pub struct Memory {
    state: Mutex<State>,
    freed: Notify,
    /// Tells those who wait in [`Memory::settle`].
    settled: Notify,
    total: usize,
}

struct State {
    free: usize,
    waiting: usize,
    /// The most that one of those who wait needs.
    wanted: usize,
    /// What may be taken at most for `settled` to be told.
    settles_at: Option<usize>,
    spare: Vec<BytesMut>,
}

impl Memory {
    pub fn new(total: usize) -> Self {
        let state = State {
            free: total,
            waiting: 0,
            wanted: 0,
            settles_at: None,
            spare: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            freed: Notify::new(),
            settled: Notify::new(),
            total,
        }
    }

    pub fn total(&self) -> usize {
        self.total
    }

    /// Takes `bytes` if they are free; nobody overtakes those who wait.
    pub fn try_take(&self, bytes: usize) -> Option<BytesMut> {
        let mut state = self.state.lock();
        if !self.grants(&state, bytes) {
            return None;
        }
        state.free -= bytes;
        Some(state.spare.pop().unwrap_or_default())
    }

    fn grants(&self, state: &State, bytes: usize) -> bool {
        let needed = match state.waiting {
            0 => bytes,
            _ => self.wakes_at(state).max(bytes),
        };
        state.free >= needed
    }

    /// How much must be free before waiters are woken.
    fn wakes_at(&self, state: &State) -> usize {
        (self.total / WAKE_PART).max(state.wanted).min(self.total)
    }

    /// Takes more for a batch that grows.
    pub fn try_extend(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        let enough = state.free >= bytes;
        if enough {
            state.free -= bytes;
        }
        enough
    }

    /// Gives memory back, with a buffer worth keeping.
    pub fn give(&self, bytes: usize, buffer: Option<BytesMut>) {
        let mut state = self.state.lock();
        state.free += bytes;
        // At most as many as there were batches at once, so bounded by the memory itself.
        state.spare.extend(buffer);
        let wake = state.waiting > 0 && state.free >= self.wakes_at(&state);
        let taken = self.total - state.free;
        let settled = state.settles_at.take_if(|most| taken <= *most).is_some();
        drop(state);
        if wake {
            self.freed.notify_waiters();
        }
        if settled {
            self.settled.notify_waiters();
        }
    }

    /// If more than `most` bytes are taken, waits until half of that is, but not longer than `patience`. Unlike
    /// [`Memory::wait`] this hurries nobody and keeps nobody back.
    pub async fn settle(&self, most: usize, patience: Duration) {
        let settled = self.settled.notified();
        tokio::pin!(settled);
        {
            let mut state = self.state.lock();
            if self.total - state.free <= most {
                return;
            }
            settled.as_mut().enable();
            state.settles_at = Some(state.settles_at.unwrap_or_default().max(most / 2));
        }
        let _patience_may_end = tokio::time::timeout(patience, settled).await;
    }

    /// Whether somebody waits: then batches that could wait for more are sent.
    pub fn is_exhausted(&self) -> bool {
        self.state.lock().waiting > 0
    }

    /// Waits until `bytes` may be free; the caller tries again then. `wake` is called when the
    /// wait begins.
    pub async fn wait(&self, bytes: usize, deadline: Instant, wake: impl Fn()) -> Result<()> {
        let freed = self.freed.notified();
        tokio::pin!(freed);
        freed.as_mut().enable();
        let _waiting = {
            let mut state = self.state.lock();
            if self.grants(&state, bytes) {
                return Ok(());
            }
            state.waiting += 1;
            state.wanted = state.wanted.max(bytes);
            Waiting(self)
        };
        wake();
        tokio::time::timeout_at(deadline, freed).await.map_err(|_| {
            ClientError::timeout(format!(
                "Failed to allocate {bytes} bytes within the configured max blocking time \
                 (max.block.ms). Total memory: {} bytes.",
                self.total
            ))
        })
    }
}

/// Counts a waiter for as long as its future lives.
struct Waiting<'a>(&'a Memory);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.waiting -= 1;
        if state.waiting == 0 {
            state.wanted = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn settling_waits_for_half_of_what_is_allowed() {
        let memory = Memory::new(100);
        let moment = Duration::from_millis(1);
        assert!(memory.try_take(50).is_some());
        memory.settle(50, Duration::from_secs(3600)).await;
        assert!(memory.try_take(40).is_some());
        memory.settle(50, moment).await;

        let settling = memory.settle(50, Duration::from_secs(3600));
        let giving = async {
            memory.give(64, None);
            assert!(memory.state.lock().settles_at.is_some() && !memory.is_exhausted());
            memory.give(1, None);
        };
        tokio::join!(settling, giving);
        assert!(memory.state.lock().settles_at.is_none());
    }

    #[tokio::test]
    async fn a_waiter_is_woken_or_times_out() {
        let memory = Memory::new(100);
        assert!(memory.try_take(80).is_some() && memory.try_take(30).is_none());
        let deadline = Instant::now() + Duration::from_millis(1);
        let late = memory.wait(30, deadline, || {}).await;
        assert!(matches!(late, Err(ClientError::Timeout(_))));
        assert!(!memory.is_exhausted());

        let deadline = Instant::now() + Duration::from_secs(1);
        let waiting = memory.wait(30, deadline, || {});
        let freeing = async {
            assert!(memory.is_exhausted());
            memory.give(80, None);
        };
        let (woken, ()) = tokio::join!(waiting, freeing);
        assert!(woken.is_ok() && memory.try_take(30).is_some());
    }
}
