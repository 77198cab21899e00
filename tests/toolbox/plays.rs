//! Each tool once through a pipe and once at a terminal, against Apache Kafka's broker and the files it has.
use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use kafkars::protocol::messages::StreamsGroupHeartbeatRequest;
use kafkars::protocol::messages::streams_group_heartbeat_request::{Subtopology, Topology};
use kafkars::tools::examples;
use tempfile::TempDir;

use super::built;
use super::examples::Place;
use super::tokens;
use crate::support::genuine::Genuine;
use crate::support::pty::Pty;
use crate::support::wire::Connection;
use crate::support::{Broker, PATIENCE, Setup, free_ports, kafkars, tool, until, wait};

const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required";

/// They have no cluster and none of its files to play with.
const NOT_PLAYED: [&str; 10] = [
    "server-start",
    "server-stop",
    "dev",
    "profile",
    "completions",
    "man",
    "link-tools",
    "jmx",
    "run-class",
    "trogdor",
];

/// A command line and what it must show, whoever looks.
struct Play {
    tool: &'static str,
    /// `{B}`: the broker. `{S}`: its listener with SASL. `{D}`: its directory. `{W}`: one for files. `{T}`: a name for
    /// each time it is played.
    words: &'static str,
    shows: &'static str,
    ends: Ends,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// By itself, with success.
    Alone,
    /// When it is told to, after it has shown what it must.
    Told,
    /// At a terminal when `q` is pressed; it refuses to run without one.
    Key,
}

const fn play(tool: &'static str, words: &'static str, shows: &'static str) -> Play {
    Play {
        tool,
        words,
        shows,
        ends: Ends::Alone,
    }
}

const fn goes_on(tool: &'static str, words: &'static str, shows: &'static str) -> Play {
    Play {
        ends: Ends::Told,
        ..play(tool, words, shows)
    }
}

#[rustfmt::skip]
const PLAYS: &[Play] = &[
    play("topics", "--bootstrap-server {B} --describe --topic played", "played"),
    play("console-producer", "--bootstrap-server {B} --topic played", ""),
    play("console-consumer", "--bootstrap-server {B} --topic played --from-beginning --max-messages 1", "a line"),
    play("console-share-consumer", "--bootstrap-server {B} --topic played --group workers --max-messages 1", "a line"),
    play("get-offsets", "--bootstrap-server {B} --topic played", "played"),
    play("groups", "--bootstrap-server {B} --list", "readers"),
    play("consumer-groups", "--bootstrap-server {B} --describe --group readers", "played"),
    play("share-groups", "--bootstrap-server {B} --describe --group workers", "workers"),
    play("streams-groups", "--bootstrap-server {B} --list --state", "streamers"),
    play("streams-application-reset", "--bootstrap-server {B} --application-id app --input-topics played --dry-run", "played"),
    play("transactions", "--bootstrap-server {B} describe-producers --topic played --partition 0", "LatestCoordinatorEpoch"),
    play("configs", "--bootstrap-server {B} --describe --topic played --all", "retention.ms"),
    play("cluster", "cluster-id --bootstrap-server {B}", CLUSTER),
    play("broker-api-versions", "--bootstrap-server {B}", "ShareFetch"),
    play("features", "--bootstrap-server {B} describe", "metadata.version"),
    play("log-dirs", "--bootstrap-server {B} --describe --topic-list played", "played"),
    play("leader-election", "--bootstrap-server {B} --election-type preferred --topic played --partition 0", "played"),
    play("reassign-partitions", "--bootstrap-server {B} --list", "No partition reassignments found."),
    goes_on("replica-verification", "--broker-list {B} --topics-include played", "verification process is started"),
    play("metadata-quorum", "--bootstrap-server {B} describe --status", "LeaderId"),
    play("client-metrics", "--bootstrap-server {B} --alter --name m --metrics org.apache.kafka. --interval 9000", "Altered"),
    play("acls", "--bootstrap-server {B} --add --allow-principal User:alice --operation Read --topic played", "User:alice"),
    play("delegation-tokens", "--bootstrap-server {S} --command-config {W}/client.properties --create --max-life-time-period -1", "User:admin"),
    Play { ends: Ends::Key, ..play("top", "--bootstrap-server {B}", "played") },
    play("producer-perf-test", "--bootstrap-server {B} --topic load --num-records 1000 --record-size 100 --throughput -1", "1000 records sent"),
    play("consumer-perf-test", "--bootstrap-server {B} --topic load --num-records 1000", "MB"),
    play("share-consumer-perf-test", "--bootstrap-server {B} --topic played --group perf-{T} --num-records 1", "MB"),
    play("e2e-latency", "--bootstrap-server {B} --topic latency --num-records 10 --producer-acks 1 --record-size 10", "Percentiles"),
    play("verifiable-producer", "--bootstrap-server {B} --topic numbers --max-messages 5", "shutdown_complete"),
    play("verifiable-consumer", "--bootstrap-server {B} --topic numbers --group-id v --max-messages 5", "shutdown_complete"),
    play("verifiable-share-consumer", "--bootstrap-server {B} --topic played --group-id verified-{T} --offset-reset-strategy earliest --max-messages 1", "shutdown_complete"),
    goes_on("connect-standalone", "{W}/worker.properties {W}/source.properties", "lines"),
    play("connect-plugin-path", "list --plugin-path {W}/plugins", "com.example.Sink"),
    play("dump-log", "--files {D}/played-0/00000000000000000000.log --print-data-log", "a line"),
    play("metadata-shell", "--snapshot {D}/__cluster_metadata-0/00000000000000000000.log ls /image/topics/byName", "played"),
    play("storage", "info --config {D}/../server.properties", CLUSTER),
    // Last: others read from the beginning.
    play("delete-records", "--bootstrap-server {B} --offset-json-file {W}/before.json", "played"),
];

#[test]
fn every_tool_has_a_play() {
    for tool in built() {
        let played = PLAYS.iter().any(|play| play.tool == tool.name);
        assert_ne!(played, NOT_PLAYED.contains(&tool.name), "{}", tool.name);
    }
}

#[test]
fn every_tool_plays_with_apache_kafka() {
    let Some(genuine) = Genuine::find("every tool with Apache Kafka") else {
        return;
    };
    let stage = Stage::set(&genuine);
    let built: Vec<&str> = built().map(|tool| tool.name).collect();
    let plays = PLAYS.iter().filter(|play| built.contains(&play.tool));
    let wrong: Vec<String> = plays
        .flat_map(|play| [stage.through_a_pipe(play), stage.at_a_terminal(play)])
        .filter_map(Result::err)
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
    stage.examples();
    tokens::live(&stage, &genuine);
}

/// A broker with topics, groups and files.
pub struct Stage {
    broker: Broker,
    sasl: String,
    files: TempDir,
}

impl Stage {
    fn set(genuine: &Genuine) -> Stage {
        let plain = free_ports(3);
        let (controller, sasl) = (plain + 1, plain + 2);
        let listeners = format!("PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl}");
        let broker = Setup::default()
            .on((plain, controller))
            .set("advertised.listeners", &listeners)
            .set(
                "listeners",
                format!("{listeners},CONTROLLER://127.0.0.1:{controller}"),
            )
            .set(
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
            )
            .set("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256")
            .set(
                "listener.name.sasl_plaintext.plain.sasl.jaas.config",
                format!("{PLAIN} user_admin=\"secret\";"),
            )
            .set(
                "listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            )
            .set("delegation.token.secret.key", "of-the-tokens")
            .set(
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            )
            .set("super.users", "User:ANONYMOUS;User:admin")
            .start_genuine(genuine);
        let stage = Stage {
            broker,
            sasl: format!("127.0.0.1:{sasl}"),
            files: tempfile::tempdir().unwrap(),
        };
        stage.write_files();
        let run = |line: &str, stdin: &str| {
            let words = stage.words(line);
            tool(&words, stdin.as_bytes()).ok()
        };
        for topic in ["played", "load", "latency", "numbers"] {
            run(
                &format!("topics --bootstrap-server {{B}} --create --topic {topic}"),
                "",
            );
        }
        run(
            "console-producer --bootstrap-server {B} --topic played",
            &"a line\n".repeat(20),
        );
        for group in ["workers", "perf-pipe", "perf-terminal"] {
            let alter = "configs --bootstrap-server {B} --alter --add-config share.auto.offset.reset=earliest";
            run(&format!("{alter} --group {group}"), "");
        }
        run(
            "console-consumer --bootstrap-server {B} --topic played --group readers \
             --from-beginning --max-messages 1",
            "",
        );
        stage.join_streams_group();
        stage
    }

    /// As an application of Kafka Streams that reads `played`.
    fn join_streams_group(&self) {
        let topology = Topology {
            subtopologies: vec![Subtopology {
                subtopology_id: "0".to_owned(),
                source_topics: vec!["played".to_owned()],
                ..Default::default()
            }],
            ..Default::default()
        };
        let join = StreamsGroupHeartbeatRequest {
            group_id: "streamers".to_owned(),
            member_id: "member".to_owned(),
            rebalance_timeout_ms: 1000,
            topology: Some(topology),
            active_tasks: Some(Vec::new()),
            standby_tasks: Some(Vec::new()),
            warmup_tasks: Some(Vec::new()),
            process_id: Some("process".to_owned()),
            client_tags: Some(Vec::new()),
            ..Default::default()
        };
        let mut connection = Connection::open(self.broker.port);
        connection.find_group("streamers");
        let joined = connection.ask(&join, 0);
        assert_eq!(joined.error_code, 0, "{joined:?}");
    }

    fn write_files(&self) {
        let write = |name: &str, text: String| self.write(name, &text);
        write("input", "a line\n".to_owned());
        for directory in ["META-INF/services", "com/example"] {
            fs::create_dir_all(self.files.path().join("plugins/sink").join(directory)).unwrap();
        }
        let sinks = "plugins/sink/META-INF/services/org.apache.kafka.connect.sink.SinkConnector";
        write(sinks, "com.example.Sink\n".to_owned());
        write("plugins/sink/com/example/Sink.class", String::new());
        write(
            "before.json",
            r#"{"partitions":[{"topic":"played","partition":0,"offset":1}],"version":1}"#
                .to_owned(),
        );
        write("client.properties", self.client());
        write(
            "worker.properties",
            format!(
                "bootstrap.servers={}\nkey.converter=StringConverter\nvalue.converter=StringConverter\n\
                 offset.storage.file.filename={}\nlisteners=http://127.0.0.1:0\n",
                self.broker.bootstrap(),
                self.files.path().join("offsets").display()
            ),
        );
        write(
            "source.properties",
            format!(
                "name=lines\nconnector.class=FileStreamSource\ntopic=lines\nfile={}\n",
                self.files.path().join("input").display()
            ),
        );
    }

    /// The settings of a client that may ask for tokens.
    fn client(&self) -> String {
        format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n\
             sasl.jaas.config={PLAIN} username=\"admin\" password=\"secret\";\n"
        )
    }

    /// Leaves a file where `{W}` is.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.files.path().join(name), text).unwrap();
    }

    pub fn words(&self, line: &str) -> Vec<String> {
        let (data, files) = (self.broker.data(), self.files.path());
        let fill_in = |word: &str| {
            word.replace("{B}", &self.broker.bootstrap())
                .replace("{S}", &self.sasl)
                .replace("{D}", data.to_str().unwrap())
                .replace("{W}", files.to_str().unwrap())
        };
        line.split_whitespace().map(fill_in).collect()
    }

    fn command(&self, play: &Play, time: &str) -> Command {
        let mut command = Command::new(kafkars());
        let words = play.words.replace("{T}", time);
        command.arg(play.tool).args(self.words(&words));
        command.stdin(File::open(self.files.path().join("input")).unwrap());
        command
    }

    fn through_a_pipe(&self, play: &Play) -> Result<(), String> {
        let mut command = self.command(play, "pipe");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let readers = [
            reader(child.stdout.take().unwrap(), &shown),
            reader(child.stderr.take().unwrap(), &shown),
        ];
        let text = || String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
        let status = end(play, &mut child, text);
        for reader in readers {
            reader.join().unwrap();
        }
        if play.ends == Ends::Key {
            let refused = status.is_some_and(|status| status.code() == Some(1));
            return if refused {
                Ok(())
            } else {
                Err(format!("{}: {}", play.tool, text()))
            };
        }
        judge("a pipe", play, status, &text())
    }

    fn at_a_terminal(&self, play: &Play) -> Result<(), String> {
        let mut terminal = Pty::open();
        let mut command = self.command(play, "terminal");
        command
            .stdout(terminal.other_side())
            .stderr(terminal.other_side());
        if play.ends == Ends::Key {
            command.stdin(terminal.other_side());
        }
        let mut child = command.spawn().unwrap();
        drop(command);
        if play.ends == Ends::Key {
            until_shown(play, || terminal.shown());
            terminal.press("q");
        }
        let status = end(play, &mut child, || terminal.shown());
        judge("a terminal", play, status, &terminal.all_shown())
    }

    /// The examples of tools for which our own broker has not what they need.
    fn examples(&self) {
        for (tool, bootstrap) in [
            ("acls", &self.broker.bootstrap()),
            ("delegation-tokens", &self.sasl),
        ] {
            let place = Place::new(bootstrap, &self.broker.data());
            place.write("client.properties", &self.client());
            for example in examples::of(tool) {
                place.works(example);
            }
        }
    }
}

/// Waits for its end; the one that goes on is told to end once it has shown what it must.
fn end(play: &Play, child: &mut Child, shown: impl Fn() -> String) -> Option<ExitStatus> {
    if play.ends == Ends::Told {
        until_shown(play, shown);
        let pid = child.id().to_string();
        let told = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(told.unwrap().success());
    }
    let status = wait(child, PATIENCE);
    let _ = child.kill();
    status
}

fn until_shown(play: &Play, shown: impl Fn() -> String) {
    until(&format!("{} shows {}", play.tool, play.shows), || {
        shown().contains(play.shows).then_some(())
    });
}

fn reader(
    mut from: impl Read + Send + 'static,
    to: &Arc<Mutex<Vec<u8>>>,
) -> thread::JoinHandle<()> {
    let to = Arc::clone(to);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            to.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    })
}

fn judge(where_: &str, play: &Play, status: Option<ExitStatus>, shown: &str) -> Result<(), String> {
    let wrong = |what: String| Err(format!("{} through {where_}: {what}\n{shown}", play.tool));
    match status {
        None => return wrong("does not end".to_owned()),
        Some(status) if play.ends == Ends::Alone && !status.success() => {
            return wrong(format!("{status}"));
        }
        Some(_) => {}
    }
    if !shown.contains(play.shows) {
        return wrong(format!("does not show {:?}", play.shows));
    }
    if where_ == "a pipe" && shown.contains('\x1b') {
        return wrong("colours or moves of the cursor".to_owned());
    }
    Ok(())
}
