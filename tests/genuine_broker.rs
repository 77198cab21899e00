//! Our tools play Kafka's quickstart against Apache Kafka's broker.

mod support;

use std::process::Command;

use support::genuine::Genuine;
use support::{Setup, kafkars, quickstart};

#[test]
fn our_tools_play_the_quickstart() {
    let Some(genuine) = Genuine::find("our tools play the quickstart") else {
        return;
    };
    let broker = Setup::default().start_genuine(&genuine);
    quickstart::play(&broker.bootstrap(), |tool| {
        let mut command = Command::new(kafkars());
        command.arg(tool);
        command
    });
}
