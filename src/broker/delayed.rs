//! Operations that wait for a partition to move: long-polling fetches.
//!
//! A fetch that has too little to answer registers one [`Waiter`] with each of its partitions, looks once more, and
//! then sleeps. An append or a move of the high watermark wakes the waiters of its partition. While nobody waits an
//! append pays one atomic load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A sleeping fetch. Woken at most once per registration; it looks at its partitions again and decides itself.
#[derive(Debug, Default)]
pub struct Waiter {
    notify: Notify,
}

impl Waiter {
    pub async fn woken(&self) {
        self.notify.notified().await;
    }
}

/// The waiters of one partition.
#[derive(Debug, Default)]
pub struct Waiters {
    count: AtomicUsize,
    list: Mutex<Vec<Arc<Waiter>>>,
}

impl Waiters {
    /// From here on `waiter` is woken by the next [`wake`](Waiters::wake). The caller must look at the partition once
    /// more after this, since what it saw before may have changed in between.
    pub fn register(&self, waiter: &Arc<Waiter>) {
        let mut list = self.list.lock();
        list.push(waiter.clone());
        self.count.store(list.len(), Ordering::Relaxed);
        drop(list);
        // Pairs with the fence in `wake`: either the appender sees the count, or the caller's next look sees the append.
        fence(Ordering::SeqCst);
    }

    /// Forgets a waiter that has been answered.
    pub fn deregister(&self, waiter: &Arc<Waiter>) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut list = self.list.lock();
        list.retain(|w| !Arc::ptr_eq(w, waiter));
        self.count.store(list.len(), Ordering::Relaxed);
    }

    /// Wakes everyone registered. Called after the move that they wait for has become visible.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let woken = {
            let mut list = self.list.lock();
            self.count.store(0, Ordering::Relaxed);
            std::mem::take(&mut *list)
        };
        for waiter in woken {
            waiter.notify.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_each_registered_waiter_once() {
        let waiters = Waiters::default();
        let (first, second) = (Arc::new(Waiter::default()), Arc::new(Waiter::default()));
        waiters.register(&first);
        waiters.register(&second);
        waiters.deregister(&second);
        waiters.wake();
        first.woken().await;
        assert_eq!(Arc::strong_count(&first), 1);
        assert_eq!(Arc::strong_count(&second), 1);
        let woken_again = tokio::time::timeout(std::time::Duration::ZERO, second.woken()).await;
        assert!(woken_again.is_err());
    }
}
