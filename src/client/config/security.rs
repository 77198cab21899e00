//! The settings of TLS and SASL.
use std::fmt;
use std::sync::Arc;

use super::list;
use super::settings::{Settings, invalid};
use crate::client::errors::{ClientError, Result};
use crate::client::login::{BearerSource, Login};
use crate::security::jaas::LoginModule;
use crate::security::sasl::Credentials;
use crate::security::scram::ScramHash;
use crate::security::tls::{self, StoreSettings, TlsSettings};

/// How connections are made safe: `security.protocol` and what goes with it.
#[derive(Clone, Default)]
pub struct Security {
    /// `SSL`, `SASL_SSL`
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// `SASL_PLAINTEXT`, `SASL_SSL`
    pub sasl: Option<Sasl>,
}

/// A mechanism, by its registered name, and where its credentials come from.
#[derive(Clone)]
pub struct Sasl {
    pub mechanism: &'static str,
    pub login: Arc<Login>,
}

/// Says nothing that is secret.
impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security")
            .field("tls", &self.tls.is_some())
            .field("sasl", &self.sasl.as_ref().map(|sasl| sasl.mechanism))
            .finish()
    }
}

/// Settings that choose classes or timings of Java's login, which this client has no use for.
const JAVA_ONLY: &[&str] = &[
    "ssl.protocol",
    "ssl.provider",
    "ssl.keymanager.algorithm",
    "ssl.trustmanager.algorithm",
    "ssl.secure.random.implementation",
    "sasl.kerberos.service.name",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.ticket.renew.window.factor",
    "sasl.kerberos.ticket.renew.jitter",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.login.refresh.window.jitter",
    "sasl.login.refresh.min.period.seconds",
    "sasl.login.class",
    "sasl.login.callback.handler.class",
    "sasl.client.callback.handler.class",
];

impl Security {
    pub(super) fn read(settings: &Settings<'_>) -> Result<Self> {
        let protocols = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
        let asked = settings.text("security.protocol", "PLAINTEXT");
        let protocol = protocols
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(asked))
            .ok_or_else(|| {
                invalid(
                    "security.protocol",
                    asked,
                    "String must be one of (case insensitive): SASL_PLAINTEXT, PLAINTEXT, \
                     SASL_SSL, SSL",
                )
            })?;
        let with_tls = protocol.ends_with("SSL");
        let with_sasl = protocol.starts_with("SASL");
        for key in JAVA_ONLY {
            settings.get(key);
        }
        let tls = with_tls.then(|| tls_settings(settings)).transpose()?;
        let tls = tls.map(|tls| tls::client_config(&tls)).transpose();
        Ok(Self {
            tls: tls.map_err(|error| ClientError::config(error.to_string()))?,
            sasl: with_sasl.then(|| sasl(settings)).transpose()?,
        })
    }
}

fn tls_settings(settings: &Settings<'_>) -> Result<TlsSettings> {
    if let Some(class) = settings.get("ssl.engine.factory.class") {
        return Err(invalid(
            "ssl.engine.factory.class",
            class,
            "Java classes cannot be loaded here: use the ssl.keystore and ssl.truststore settings",
        ));
    }
    let text = |key| settings.get(key).map(str::to_owned);
    let words = |key, default| -> Vec<String> {
        let words = list(settings.text(key, default));
        words.iter().map(|word| word.to_string()).collect()
    };
    Ok(TlsSettings {
        trust: StoreSettings {
            kind: settings.text("ssl.truststore.type", "JKS").to_owned(),
            location: text("ssl.truststore.location"),
            password: text("ssl.truststore.password"),
            certificates: text("ssl.truststore.certificates"),
            ..StoreSettings::default()
        },
        identity: StoreSettings {
            kind: settings.text("ssl.keystore.type", "JKS").to_owned(),
            location: text("ssl.keystore.location"),
            password: text("ssl.keystore.password"),
            certificates: text("ssl.keystore.certificate.chain"),
            key: text("ssl.keystore.key"),
            key_password: text("ssl.key.password"),
        },
        check_name: !settings
            .text("ssl.endpoint.identification.algorithm", "https")
            .is_empty(),
        protocols: words("ssl.enabled.protocols", "TLSv1.2,TLSv1.3"),
        cipher_suites: words("ssl.cipher.suites", ""),
    })
}

fn sasl(settings: &Settings<'_>) -> Result<Sasl> {
    let asked = settings.text("sasl.mechanism", "GSSAPI");
    match asked {
        "PLAIN" => {
            let module = login_module(settings, "PlainLoginModule")?;
            let (user, password) = user_and_password(&module)?;
            Ok(fixed("PLAIN", Credentials::Plain { user, password }))
        }
        "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
            let (hash, mechanism) = match asked {
                "SCRAM-SHA-256" => (ScramHash::Sha256, "SCRAM-SHA-256"),
                _ => (ScramHash::Sha512, "SCRAM-SHA-512"),
            };
            let module = login_module(settings, "ScramLoginModule")?;
            let (user, password) = user_and_password(&module)?;
            let token = module.option("tokenauth") == Some("true");
            let credentials = Credentials::Scram {
                hash,
                user,
                password,
                token,
            };
            Ok(fixed(mechanism, credentials))
        }
        "OAUTHBEARER" => Ok(Sasl {
            mechanism: "OAUTHBEARER",
            login: Arc::new(Login::bearer(bearer_source(settings)?)),
        }),
        other => Err(invalid(
            "sasl.mechanism",
            other,
            "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are supported",
        )),
    }
}

fn fixed(mechanism: &'static str, credentials: Credentials) -> Sasl {
    Sasl {
        mechanism,
        login: Arc::new(Login::Fixed(credentials)),
    }
}

fn login_module(settings: &Settings<'_>, class: &str) -> Result<LoginModule> {
    let text = settings.get("sasl.jaas.config").ok_or_else(|| {
        ClientError::config(
            "Could not find a 'KafkaClient' entry in the JAAS configuration: set sasl.jaas.config",
        )
    })?;
    let module = LoginModule::parse(text);
    let module = module.map_err(|error| ClientError::config(error.to_string()))?;
    if module.name() != class {
        return Err(ClientError::config(format!(
            "The login module of sasl.jaas.config is {}, sasl.mechanism={} needs {class}",
            module.class,
            settings.text("sasl.mechanism", "GSSAPI")
        )));
    }
    Ok(module)
}

fn user_and_password(module: &LoginModule) -> Result<(String, String)> {
    let option = |key: &str| {
        let value = module.option(key).map(str::to_owned);
        value.ok_or_else(|| ClientError::config(format!("sasl.jaas.config has no {key}")))
    };
    Ok((option("username")?, option("password")?))
}

/// A token endpoint if there is one, else tokens without signature.
fn bearer_source(settings: &Settings<'_>) -> Result<BearerSource> {
    let Some(url) = settings.get("sasl.oauthbearer.token.endpoint.url") else {
        return Ok(BearerSource::Unsecured(login_module(
            settings,
            "OAuthBearerLoginModule",
        )?));
    };
    let module = match settings.get("sasl.jaas.config") {
        Some(_) => Some(login_module(settings, "OAuthBearerLoginModule")?),
        None => None,
    };
    // The settings win over the options of the login module, which are their old form.
    let either = |key, option: &str| -> Option<String> {
        let value = settings.get(key);
        let value = value.or(module.as_ref().and_then(|module| module.option(option)));
        value.map(str::to_owned)
    };
    let needed = |key: &'static str, option: &str| -> Result<String> {
        either(key, option).ok_or_else(|| {
            ClientError::config(format!(
                "The OAuth configuration property {key} must be set"
            ))
        })
    };
    let tls = match url.starts_with("https:") {
        true => Some(tls::client_config(&tls_settings(settings)?)),
        false => None,
    };
    let tls = tls
        .transpose()
        .map_err(|error| ClientError::config(error.to_string()))?;
    let extensions = module
        .as_ref()
        .map(crate::security::oauth_bearer::extensions);
    Ok(BearerSource::Endpoint {
        url: url.to_owned(),
        client_id: needed("sasl.oauthbearer.client.credentials.client.id", "clientId")?,
        client_secret: needed(
            "sasl.oauthbearer.client.credentials.client.secret",
            "clientSecret",
        )?,
        scope: either("sasl.oauthbearer.scope", "scope"),
        extensions: extensions.unwrap_or_default(),
        tls,
        connect_timeout: settings.ms("sasl.login.connect.timeout.ms", 10_000)?,
        read_timeout: settings.ms("sasl.login.read.timeout.ms", 10_000)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Properties;

    fn read(text: &str) -> Result<Security, String> {
        let properties = Properties::parse(text).unwrap();
        let settings = Settings::new(&properties, "admin client");
        Security::read(&settings).map_err(|error| error.to_string())
    }

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required";

    #[test]
    fn mechanisms_have_their_credentials() {
        for (mechanism, module) in [
            ("PLAIN", "PlainLoginModule"),
            ("SCRAM-SHA-256", "ScramLoginModule"),
            ("SCRAM-SHA-512", "ScramLoginModule"),
        ] {
            let text = format!(
                "security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\n\
                 sasl.jaas.config=a.{module} required username=\"u\" password=\"p\";"
            );
            let security = read(&text).unwrap();
            assert!(security.tls.is_none());
            assert_eq!(security.sasl.unwrap().mechanism, mechanism);
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named_without_secrets() {
        for (text, want) in [
            (
                "security.protocol=TLS".to_owned(),
                "Invalid value TLS for configuration security.protocol: String must be one of \
                 (case insensitive): SASL_PLAINTEXT, PLAINTEXT, SASL_SSL, SSL",
            ),
            (
                "security.protocol=SASL_PLAINTEXT".to_owned(),
                "Invalid value GSSAPI for configuration sasl.mechanism: PLAIN, SCRAM-SHA-256, \
                 SCRAM-SHA-512 and OAUTHBEARER are supported",
            ),
            (
                "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN".to_owned(),
                "Could not find a 'KafkaClient' entry in the JAAS configuration: set \
                 sasl.jaas.config",
            ),
            (
                format!(
                    "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n\
                     sasl.jaas.config={PLAIN} username=\"u\";"
                ),
                "sasl.jaas.config has no password",
            ),
            (
                "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n\
                 sasl.oauthbearer.token.endpoint.url=http://localhost/token"
                    .to_owned(),
                "The OAuth configuration property \
                 sasl.oauthbearer.client.credentials.client.id must be set",
            ),
        ] {
            assert_eq!(read(&text).err().as_deref(), Some(want), "{text}");
        }
        let error = read("security.protocol=SSL\nssl.truststore.location=/nonexistent").err();
        let error = error.unwrap();
        let start = "Failed to load SSL truststore /nonexistent of type JKS: ";
        assert!(error.starts_with(start), "{error}");
    }
}
