//! Our tools against Apache Kafka's broker on listeners with TLS and SASL.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::genuine::Genuine;
use support::{Broker, Ran, Setup, free_ports, kafkars, run_command, skip};

const STORE_PASSWORD: &str = "store-secret";
const KEY_PASSWORD: &str = "key-secret";
const SECURITY: &str = "org.apache.kafka.common.security";

#[test]
fn our_tools_and_listeners_with_tls_and_sasl() {
    let test = "our tools and listeners with TLS and SASL";
    let Some(genuine) = Genuine::find(test) else {
        return;
    };
    for needed in ["keytool", "openssl"] {
        if Command::new(needed).arg("-help").output().is_err() {
            return skip(test, &format!("{needed} is missing"));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let stores = Stores::make(dir.path());
    let cluster = Cluster::start(&genuine, &stores);
    cluster.mutual_tls();
    cluster.mechanisms();
    cluster.refusals();
    cluster.sessions_are_renewed();
}

/// Certificates and keys, in every form that Kafka takes.
struct Stores {
    dir: PathBuf,
}

impl Stores {
    fn make(dir: &Path) -> Stores {
        let stores = Stores {
            dir: dir.to_owned(),
        };
        for (name, alternative) in [
            ("server", "dns:localhost,ip:127.0.0.1"),
            ("client", "dns:c"),
        ] {
            stores.keytool(&format!(
                "-genkeypair -alias {name} -keyalg RSA -keysize 2048 -dname CN={name} -validity 9 \
                 -ext san={alternative} -keystore {name}.p12 -storetype PKCS12 \
                 -storepass {STORE_PASSWORD}"
            ));
            stores.keytool(&format!(
                "-exportcert -rfc -alias {name} -keystore {name}.p12 -storepass {STORE_PASSWORD} \
                 -file {name}.pem"
            ));
            for kind in ["JKS", "PKCS12"] {
                stores.keytool(&format!(
                    "-importcert -noprompt -alias {name} -file {name}.pem \
                     -keystore trust-{name}.{kind} -storetype {kind} -storepass {STORE_PASSWORD}"
                ));
            }
        }
        stores.keytool(&format!(
            "-importkeystore -srckeystore client.p12 -srcstorepass {STORE_PASSWORD} \
             -destkeystore client.jks -deststoretype JKS -deststorepass {STORE_PASSWORD} \
             -destkeypass {KEY_PASSWORD} -srcalias client"
        ));
        stores.run(
            "openssl",
            &format!(
                "pkcs12 -in client.p12 -passin pass:{STORE_PASSWORD} -nocerts -nodes -out key.raw"
            ),
        );
        stores.run(
            "openssl",
            "pkcs8 -topk8 -nocrypt -in key.raw -out client.key",
        );
        stores.run(
            "openssl",
            &format!(
                "pkcs8 -topk8 -v2 aes-256-cbc -in key.raw -out client-encrypted.key \
             -passout pass:{KEY_PASSWORD}"
            ),
        );
        stores
    }

    fn keytool(&self, args: &str) {
        self.run("keytool", args);
    }

    fn run(&self, program: &str, args: &str) {
        let mut command = Command::new(program);
        command.args(args.split_whitespace()).current_dir(&self.dir);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{program} {args}: {said}{told}");
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// The text of a PEM file as one line of a properties file.
    fn inline(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name))
            .unwrap()
            // keytool's own, which would end the value.
            .replace('\r', "")
            .replace('\n', "\\n")
    }

    fn trust(&self, kind: &str) -> String {
        format!(
            "ssl.truststore.type={kind}\nssl.truststore.location={}\n\
             ssl.truststore.password={STORE_PASSWORD}\n",
            self.path(&format!("trust-server.{kind}"))
        )
    }
}

struct Cluster<'a> {
    stores: &'a Stores,
    broker: Broker,
    tls: u16,
    sasl: u16,
    sasl_tls: u16,
}

impl<'a> Cluster<'a> {
    fn start(genuine: &Genuine, stores: &'a Stores) -> Cluster<'a> {
        let plain = free_ports(5);
        let (controller, tls, sasl, sasl_tls) = (plain + 1, plain + 2, plain + 3, plain + 4);
        let listeners = format!(
            "PLAINTEXT://127.0.0.1:{plain},SSL://127.0.0.1:{tls},SASL_PLAINTEXT://127.0.0.1:{sasl},\
             SASL_SSL://127.0.0.1:{sasl_tls}"
        );
        let mut setup = Setup::default()
            .on((plain, controller))
            .set("advertised.listeners", &listeners)
            .set(
                "listeners",
                format!("{listeners},CONTROLLER://127.0.0.1:{controller}"),
            )
            .set(
                "listener.security.protocol.map",
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,\
                 SASL_SSL:SASL_SSL",
            )
            .set("ssl.keystore.type", "PKCS12")
            .set("ssl.keystore.location", stores.path("server.p12"))
            .set("ssl.keystore.password", STORE_PASSWORD)
            .set("ssl.truststore.location", stores.path("trust-client.JKS"))
            .set("ssl.truststore.password", STORE_PASSWORD)
            .set("listener.name.ssl.ssl.client.auth", "required")
            .set(
                "sasl.enabled.mechanisms",
                "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            )
            .set(
                "listener.name.sasl_plaintext.connections.max.reauth.ms",
                2_000,
            );
        for listener in ["sasl_plaintext", "sasl_ssl"] {
            for (mechanism, module) in [
                (
                    "plain",
                    "plain.PlainLoginModule required user_alice=\"alice-secret\"",
                ),
                ("scram-sha-256", "scram.ScramLoginModule required"),
                ("scram-sha-512", "scram.ScramLoginModule required"),
                (
                    "oauthbearer",
                    "oauthbearer.OAuthBearerLoginModule required \
                     unsecuredLoginStringClaim_sub=\"admin\"",
                ),
            ] {
                let key = format!("listener.name.{listener}.{mechanism}.sasl.jaas.config");
                setup = setup.set(&key, format!("{SECURITY}.{module};"));
            }
        }
        let broker = setup.start_genuine(genuine);
        let cluster = Cluster {
            stores,
            broker,
            tls,
            sasl,
            sasl_tls,
        };
        let plain = cluster.broker.bootstrap();
        for credential in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let credential = format!("{credential}=[password=bob-secret]");
            tool(
                "configs",
                &[
                    "--bootstrap-server",
                    &plain,
                    "--alter",
                    "--entity-type",
                    "users",
                    "--entity-name",
                    "bob",
                    "--add-config",
                    &credential,
                ],
            )
            .ok();
        }
        tool(
            "topics",
            &["--bootstrap-server", &plain, "--create", "--topic", "seen"],
        )
        .ok();
        cluster
    }

    /// Lists the topics with these settings.
    fn list(&self, host: &str, port: u16, settings: &str) -> Ran {
        let file = self.stores.dir.join("client.properties");
        fs::write(&file, settings).unwrap();
        let file = file.display().to_string();
        let bootstrap = format!("{host}:{port}");
        let args = [
            "--bootstrap-server",
            &bootstrap,
            "--list",
            "--command-config",
            &file,
        ];
        tool("topics", &args)
    }

    fn sees_the_topic(&self, port: u16, settings: &str) {
        let shown = self.list("localhost", port, settings).ok();
        assert_eq!(shown, "seen\n", "{settings}");
    }

    fn mutual_tls(&self) {
        let stores = self.stores;
        let stored = |name: &str, kind: &str, key: &str| {
            format!(
                "ssl.keystore.type={kind}\nssl.keystore.location={}\n\
                 ssl.keystore.password={STORE_PASSWORD}\nssl.key.password={key}\n",
                stores.path(name)
            )
        };
        let pem_trust = format!(
            "ssl.truststore.type=PEM\nssl.truststore.location={}\n",
            stores.path("server.pem")
        );
        let inline_trust = format!(
            "ssl.truststore.type=PEM\nssl.truststore.certificates={}\n",
            stores.inline("server.pem")
        );
        let inline = |key: &str| {
            format!(
                "ssl.keystore.type=PEM\nssl.keystore.certificate.chain={}\nssl.keystore.key={}\n",
                stores.inline("client.pem"),
                stores.inline(key)
            )
        };
        let both = format!(
            "{}\n{}",
            read(stores, "client.key"),
            read(stores, "client.pem")
        );
        fs::write(stores.dir.join("both.pem"), both).unwrap();
        let pem_file = format!(
            "ssl.keystore.type=PEM\nssl.keystore.location={}\n",
            stores.path("both.pem")
        );
        let encrypted = format!(
            "{}ssl.key.password={KEY_PASSWORD}\n",
            inline("client-encrypted.key")
        );
        for (trust, identity) in [
            (
                stores.trust("JKS"),
                stored("client.jks", "JKS", KEY_PASSWORD),
            ),
            (
                stores.trust("PKCS12"),
                stored("client.p12", "PKCS12", STORE_PASSWORD),
            ),
            (pem_trust, pem_file),
            (inline_trust.clone(), inline("client.key")),
            (inline_trust, encrypted),
        ] {
            let settings = format!("security.protocol=SSL\n{trust}{identity}");
            self.sees_the_topic(self.tls, &settings);
            let tls12 = format!("{settings}ssl.enabled.protocols=TLSv1.2\n");
            self.sees_the_topic(self.tls, &tls12);
        }
    }

    fn mechanisms(&self) {
        let trust = self.stores.trust("JKS");
        for (mechanism, module) in MECHANISMS {
            let sasl = sasl(mechanism, module);
            let plain = format!("security.protocol=SASL_PLAINTEXT\n{sasl}");
            self.sees_the_topic(self.sasl, &plain);
            let tls = format!("security.protocol=SASL_SSL\n{sasl}{trust}");
            self.sees_the_topic(self.sasl_tls, &tls);
        }
    }

    /// What does not fit is said at once, in one line, and is no secret.
    fn refusals(&self) {
        let trust = self.stores.trust("JKS");
        let wrong = "plain.PlainLoginModule required username=\"alice\" password=\"not-this\"";
        let wrong_plain = format!("security.protocol=SASL_PLAINTEXT\n{}", sasl("PLAIN", wrong));
        let wrong_scram = "scram.ScramLoginModule required username=\"bob\" password=\"not-this\"";
        let wrong_scram = sasl("SCRAM-SHA-512", wrong_scram);
        let wrong_scram = format!("security.protocol=SASL_SSL\n{trust}{wrong_scram}");
        let (mechanism, module) = MECHANISMS[0];
        let untrusted = format!(
            "security.protocol=SASL_SSL\nssl.truststore.type=PEM\n\
             ssl.truststore.location={}\n{}",
            self.stores.path("client.pem"),
            sasl(mechanism, module)
        );
        let anonymous = format!("security.protocol=SSL\n{trust}");
        for (port, settings, want) in [
            (
                self.sasl,
                &wrong_plain,
                "Authentication failed: Invalid username or password",
            ),
            (
                self.sasl_tls,
                &wrong_scram,
                "Authentication failed during authentication due to invalid credentials with SASL \
                 mechanism SCRAM-SHA-512",
            ),
            (
                self.sasl_tls,
                &untrusted,
                "SSL handshake failed: invalid peer certificate",
            ),
            (self.tls, &anonymous, "SSL handshake failed"),
        ] {
            let ran = self.list("localhost", port, settings);
            assert_eq!(ran.code, Some(1), "{settings}");
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(said.contains(want), "{want:?} is not in {said}");
            assert!(!said.contains("not-this"), "{said}");
        }
        let nameless = format!("{untrusted}ssl.endpoint.identification.algorithm=\n");
        assert_eq!(
            self.list("localhost", self.sasl_tls, &nameless).code,
            Some(1)
        );
    }

    /// A session of two seconds is renewed on the connection, however much goes over it.
    fn sessions_are_renewed(&self) {
        let (mechanism, module) = MECHANISMS[1];
        let settings = format!(
            "security.protocol=SASL_PLAINTEXT\n{}",
            sasl(mechanism, module)
        );
        let file = self.stores.dir.join("producer.properties");
        fs::write(&file, settings).unwrap();
        let bootstrap = format!("127.0.0.1:{}", self.sasl);
        let file = file.display().to_string();
        let args = [
            "--bootstrap-server",
            &bootstrap,
            "--topic",
            "seen",
            "--num-records",
            "120",
            "--throughput",
            "20",
            "--record-size",
            "10",
            "--command-config",
            &file,
            "--print-metrics",
        ];
        let shown = tool("producer-perf-test", &args).ok();
        assert!(shown.contains("120 records sent"), "{shown}");
        let closed = "connection-close-total:{client-id=perf-producer-client}";
        let closed = shown.lines().find(|line| line.contains(closed)).unwrap();
        assert!(closed.ends_with(": 0.000"), "{closed}");
    }
}

/// A mechanism, and a login module that knows a secret of it.
const MECHANISMS: [(&str, &str); 4] = [
    (
        "PLAIN",
        "plain.PlainLoginModule required username=\"alice\" password=\"alice-secret\"",
    ),
    (
        "SCRAM-SHA-256",
        "scram.ScramLoginModule required username=\"bob\" password=\"bob-secret\"",
    ),
    (
        "SCRAM-SHA-512",
        "scram.ScramLoginModule required username=\"bob\" password=\"bob-secret\"",
    ),
    (
        "OAUTHBEARER",
        "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"carol\"",
    ),
];

fn sasl(mechanism: &str, module: &str) -> String {
    format!("sasl.mechanism={mechanism}\nsasl.jaas.config={SECURITY}.{module};\n")
}

fn read(stores: &Stores, name: &str) -> String {
    fs::read_to_string(stores.dir.join(name)).unwrap()
}

fn tool(name: &str, args: &[&str]) -> Ran {
    let mut command = Command::new(kafkars());
    command.arg(name).args(args);
    run_command(command, b"")
}
