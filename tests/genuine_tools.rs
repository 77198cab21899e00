//! Apache Kafka's tools play its quickstart against our broker.

mod support;

use support::genuine::Genuine;
use support::{Broker, quickstart};

#[test]
fn their_tools_play_the_quickstart() {
    let Some(genuine) = Genuine::find("their tools play the quickstart") else {
        return;
    };
    let broker = Broker::start();
    quickstart::play(&broker.bootstrap(), |tool| genuine.command(tool));
}
