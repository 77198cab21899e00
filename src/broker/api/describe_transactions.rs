//! DescribeTransactions (key 65), version 0 (KIP-664). The transaction coordinator answers.

use crate::broker::context::RequestContext;
use crate::protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

pub async fn handle(
    cx: &RequestContext<'_>,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let mut response = DescribeTransactionsResponse::default();
    for id in request.transactional_ids {
        let state = cx.broker.transactions.describe(&id).await;
        response.transaction_states.push(state);
    }
    response
}
