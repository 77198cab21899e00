//! ListTransactions (key 66), versions 0–2 (KIP-664). The transaction coordinator answers.
//!
//! - 1: only those open for longer than a duration (KIP-994). 2: only those whose id matches a pattern (KIP-1152).

use crate::broker::context::RequestContext;
use crate::protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    cx.broker.transactions.list(request).await
}
