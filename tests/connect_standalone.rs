//! A user runs the quickstart's connectors: a file goes through a topic into another file, lines
//! that are appended follow, and a restart repeats and loses nothing, whoever runs the worker.
mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use support::genuine::Genuine;
use support::{Broker, PATIENCE, Setup, free_port, kafkars, tool, until, wait};

/// A folder with the configurations and files of a worker.
struct Place {
    dir: tempfile::TempDir,
    rest_port: u16,
}

impl Place {
    fn new(broker: &Broker) -> Place {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
            rest_port: free_port(),
        };
        let text = format!(
            "bootstrap.servers={}\n\
             key.converter=org.apache.kafka.connect.json.JsonConverter\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\n\
             offset.storage.file.filename={}\n\
             listeners=http://127.0.0.1:{}\n",
            broker.bootstrap(),
            place.path("offsets").display(),
            place.rest_port
        );
        fs::write(place.path("worker.properties"), text).unwrap();
        for (name, class, topic) in [
            ("source", "FileStreamSource", "topic"),
            ("sink", "FileStreamSink", "topics"),
        ] {
            let file = place.path(&format!("{name}.txt"));
            let text = format!(
                "name={name}\nconnector.class={class}\nfile={}\n{topic}=connect-test\n",
                file.display()
            );
            fs::write(place.path(&format!("{name}.properties")), text).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, text: &str) {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("source.txt"));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Starts a worker with both connectors.
    fn start(&self, mut command: Command) -> Worker {
        for name in ["worker", "source", "sink"] {
            command.arg(self.path(&format!("{name}.properties")));
        }
        let log = self.path("worker.log");
        let stderr = File::create(&log).unwrap();
        let stdout = stderr.try_clone().unwrap();
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        Worker {
            child: command.spawn().unwrap(),
            log,
        }
    }

    fn start_ours(&self) -> Worker {
        let mut command = Command::new(kafkars());
        command.arg("connect-standalone");
        self.start(command)
    }

    #[track_caller]
    fn wait_for_sink(&self, expected: &str) {
        let sink = || fs::read_to_string(self.path("sink.txt")).unwrap_or_default();
        until("the sink has the lines", || {
            (sink().len() >= expected.len()).then_some(())
        });
        assert_eq!(sink(), expected);
    }

    /// The body of the answer to a GET.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.rest_port)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

/// A running worker; killed when dropped.
struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// Ends it as Ctrl-C does; it has to end well.
    #[track_caller]
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", "INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let log = || fs::read_to_string(&self.log).unwrap_or_default();
        // Genuine Kafka's worker gives itself half a minute, which a busy machine draws out.
        let status = wait(&mut self.child, 3 * PATIENCE);
        let status = status.unwrap_or_else(|| panic!("the worker did not stop:\n{}", log()));
        assert!(
            matches!(status.code(), Some(0 | 130)),
            "{status}:\n{}",
            log()
        );
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- log of the worker\n{}",
                fs::read_to_string(&self.log).unwrap()
            );
        }
    }
}

/// Lines flow, are appended, wait for their end, and are not repeated after a restart.
fn play(broker: &Broker) -> Place {
    let place = Place::new(broker);
    place.append("one\ntwo \"quoted\"\npart");
    let worker = place.start_ours();
    place.wait_for_sink("one\ntwo \"quoted\"\n");
    place.append("ial é😀\n");
    place.wait_for_sink("one\ntwo \"quoted\"\npartial é😀\n");
    assert_eq!(place.get("/connectors"), r#"["source","sink"]"#);
    assert!(
        place
            .get("/connectors/sink/status")
            .contains(r#""tasks":[{"id":0,"state":"RUNNING""#)
    );
    worker.stop();
    place.append("while stopped\r\n");
    let worker = place.start_ours();
    place.append("last\n");
    place.wait_for_sink("one\ntwo \"quoted\"\npartial é😀\nwhile stopped\nlast\n");
    worker.stop();
    place
}

#[test]
fn the_quickstart_on_kafkars() {
    play(&Broker::start());
}

#[test]
fn the_quickstart_on_genuine_kafka_whose_worker_goes_on_where_ours_stopped() {
    let test = "the_quickstart_on_genuine_kafka_whose_worker_goes_on_where_ours_stopped";
    let Some(genuine) = Genuine::find(test) else {
        return;
    };
    let broker = Setup::default().start_genuine(&genuine);
    let place = play(&broker);
    let so_far = fs::read_to_string(place.path("sink.txt")).unwrap();
    place.append("for genuine\n");
    let worker = place.start(genuine.command("connect-standalone"));
    place.wait_for_sink(&format!("{so_far}for genuine\n"));
    worker.stop();
    place.append("for ours\n");
    let worker = place.start_ours();
    place.wait_for_sink(&format!("{so_far}for genuine\nfor ours\n"));
    worker.stop();
}

#[test]
fn exit_codes_are_kafkas() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let text = format!(
        "bootstrap.servers=127.0.0.1:1\nkey.converter=StringConverter\n\
         value.converter=StringConverter\noffset.storage.file.filename={}\n\
         listeners=http://127.0.0.1:0\ntask.shutdown.graceful.timeout.ms=100\n",
        path("offsets")
    );
    fs::write(path("worker.properties"), text).unwrap();
    fs::write(
        path("bad.properties"),
        "name=c\nconnector.class=io.x.Nope\n",
    )
    .unwrap();
    let (worker, bad, missing) = (
        path("worker.properties"),
        path("bad.properties"),
        path("none"),
    );
    for (args, code, text) in [
        (vec![], 1, "Usage: kafkars connect-standalone"),
        (vec![missing.as_str()], 2, "none"),
        (vec![worker.as_str(), missing.as_str()], 3, "none"),
        (
            vec![worker.as_str(), bad.as_str()],
            3,
            "which name matches io.x.Nope, available",
        ),
    ] {
        let args = [vec!["connect-standalone"], args].concat();
        let ran = tool(&args, b"");
        assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(text), "{args:?}: {ran:?}");
        assert_eq!(ran.stdout, "");
    }
    let help = tool(&["connect-standalone", "--help"], b"");
    assert_eq!(help.code, Some(1));
    assert!(
        help.stdout.contains("Usage: kafkars connect-standalone"),
        "{help:?}"
    );
}
