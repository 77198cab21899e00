//! `buffer.memory`: what batches may hold, and buffers used again.
use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::errors::{ClientError, Result};

/// Buffers kept for reuse, at most.
const SPARE_MAX: usize = 256;

pub struct Memory {
    state: Mutex<State>,
    freed: Notify,
    total: usize,
}

struct State {
    free: usize,
    waiting: usize,
    spare: Vec<BytesMut>,
}

impl Memory {
    pub fn new(total: usize) -> Self {
        let state = State {
            free: total,
            waiting: 0,
            spare: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            freed: Notify::new(),
            total,
        }
    }

    pub fn total(&self) -> usize {
        self.total
    }

    /// Takes `bytes` if they are free; nobody overtakes those who wait, except the waiters.
    pub fn try_take(&self, bytes: usize) -> Option<BytesMut> {
        let mut state = self.state.lock();
        if state.free < bytes {
            return None;
        }
        state.free -= bytes;
        Some(state.spare.pop().unwrap_or_default())
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
        let room = state.spare.len() < SPARE_MAX;
        state.spare.extend(buffer.filter(|_| room));
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            self.freed.notify_waiters();
        }
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
            if state.free >= bytes {
                return Ok(());
            }
            state.waiting += 1;
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
        self.0.state.lock().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
