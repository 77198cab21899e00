//! SCRAM credentials of users.
use bytes::Bytes;

use super::entities::Kind;
use super::quotas::MECHANISMS;
use super::{Changes, Command};
use crate::client::admin::ScramUpsertion;
use crate::metadata::scram::{ITERATIONS_MIN, Mechanism};
use crate::tools::cluster::thrown;
use crate::tools::output::Format;
use crate::tools::usage::UsageError;

impl Command<'_> {
    /// After the quotas, those of the users asked about; clients and defaults have none.
    pub(super) async fn describe_credentials(&mut self) -> anyhow::Result<()> {
        let names = &self.entities.names;
        if self.entities.has(Kind::Client) || names.iter().any(String::is_empty) {
            return Ok(());
        }
        // JSON is the list of quotas alone.
        if self.format == Format::Json {
            return Ok(());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let described = self.admin.describe_user_scram_credentials(&names).await;
        for (user, infos) in described.map_err(thrown)? {
            let infos = match infos {
                Ok(infos) => infos,
                Err(error)
                    if error.code() == Some(crate::protocol::ErrorCode::ResourceNotFound) =>
                {
                    continue;
                }
                Err(error) => {
                    self.printer.line(format!(
                        "Error retrieving SCRAM credential configs for user-principal '{user}': \
                         {}: {error}",
                        error.exception()
                    ))?;
                    continue;
                }
            };
            let infos: Vec<String> = infos
                .iter()
                .map(|(code, iterations)| {
                    let name = usize::try_from(*code - 1).ok();
                    let name = name.and_then(|at| MECHANISMS.get(at)).unwrap_or(&"UNKNOWN");
                    format!("{name}=iterations={iterations}")
                })
                .collect();
            self.printer.line(format!(
                "SCRAM credential configs for user-principal '{user}' are {}",
                infos.join(", ")
            ))?;
        }
        Ok(())
    }

    pub(super) async fn alter_credentials(&mut self, changes: &Changes) -> anyhow::Result<()> {
        let [user] = self.entities.names.as_slice() else {
            anyhow::bail!(
                "Altering user SCRAM credentials should never occur for more zero or multiple \
                 users: List({})",
                self.entities.names.join(", ")
            );
        };
        let mut upsertions = Vec::new();
        for (name, text) in &changes.added {
            upsertions.push(upsertion(name, text)?);
        }
        let deletions: Vec<i8> = changes
            .deleted
            .iter()
            .filter_map(|name| Some(mechanism(name)?.code()))
            .collect();
        let altered = self
            .admin
            .alter_user_scram_credentials(user, &deletions, &upsertions);
        altered.await.map_err(thrown)
    }
}

fn mechanism(name: &str) -> Option<Mechanism> {
    match name {
        "SCRAM-SHA-256" => Some(Mechanism::Sha256),
        "SCRAM-SHA-512" => Some(Mechanism::Sha512),
        _ => None,
    }
}

/// The credential of `iterations=8192,password=secret`, salted here.
fn upsertion(name: &str, text: &str) -> Result<ScramUpsertion, UsageError> {
    let invalid = || UsageError(format!("Invalid credential property {name}={text}"));
    let mechanism = mechanism(name).ok_or_else(invalid)?;
    let (iterations, password) = parse(text).ok_or_else(invalid)?;
    if iterations < ITERATIONS_MIN {
        return Err(UsageError(format!(
            "Iterations {iterations} is less than the minimum {ITERATIONS_MIN} required for {name}"
        )));
    }
    let salt = fastrand::u128(..).to_be_bytes();
    let salted = mechanism.salted_password(password.as_bytes(), &salt, iterations.unsigned_abs());
    Ok(ScramUpsertion {
        mechanism: mechanism.code(),
        iterations,
        salt: Bytes::copy_from_slice(&salt),
        salted_password: salted.into(),
    })
}

/// Iterations (4096 without, or for -1) and password.
fn parse(text: &str) -> Option<(i32, &str)> {
    if let Some(password) = text.strip_prefix("password=") {
        return Some((ITERATIONS_MIN, password));
    }
    let (iterations, password) = text.strip_prefix("iterations=")?.split_once(",password=")?;
    let iterations = match iterations {
        "-1" => ITERATIONS_MIN,
        number => number.parse().ok()?,
    };
    Some((iterations, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read() {
        for (text, want) in [
            ("password=a,b=c", Some((4096, "a,b=c"))),
            ("iterations=8192,password=s", Some((8192, "s"))),
            ("iterations=-1,password=s", Some((4096, "s"))),
            ("iterations=x,password=s", None),
            ("s", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        let few = upsertion("SCRAM-SHA-256", "iterations=1,password=x").unwrap_err();
        assert_eq!(
            few.0,
            "Iterations 1 is less than the minimum 4096 required for SCRAM-SHA-256"
        );
    }
}
