//! Work that would keep other connections waiting: waits for a disk, large batches that are packed anew.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Does `work` here while a thread of the blocking pool takes over the connections that share this thread.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        // Nobody shares the thread, or nobody can take over.
        _ => work(),
    }
}
