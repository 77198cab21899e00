//! The credentials of `storage format --add-scram`:
//! `SCRAM-SHA-256=[name=alice,password=secret,iterations=4096,salt=base64]`.

use super::scram::{ITERATIONS_MAX, ITERATIONS_MIN, Mechanism};
use crate::protocol::records::metadata::UserScramCredentialRecord;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What is wrong with an argument. The texts are those of Kafka's tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScramArgumentError {
    #[error("Failed to find equals sign in SCRAM argument '{0}'")]
    NoMechanism(String),
    #[error("The add-scram mechanism {0} is not supported.")]
    Mechanism(String),
    #[error("Expected configuration string to start with [")]
    NoStart,
    #[error("Expected configuration string to end with ]")]
    NoEnd,
    #[error("No equals sign found in SCRAM component: {0}")]
    NoEquals(String),
    #[error("You must supply 'name' to add-scram")]
    NoName,
    #[error("Failed to decode given salt: {0}")]
    Salt(String),
    #[error("Failed to parse iterations count: {0}")]
    Iterations(String),
    #[error("The 'iterations' value must be >= 4096 for add-scram using {0}")]
    TooFewIterations(&'static str),
    #[error("The 'iterations' value must be <= 16384 for add-scram using {0}")]
    TooManyIterations(&'static str),
    #[error("You must supply one of 'password' or 'saltedpassword' to add-scram")]
    NoPassword,
    #[error("You must supply 'salt' with 'saltedpassword' to add-scram")]
    SaltedWithoutSalt,
    #[error("Failed to decode given saltedPassword: {0}")]
    SaltedPassword(String),
    #[error("Unknown SCRAM configurations: {0}")]
    Unknown(String),
    #[error("Cannot derive SCRAM keys from the password")]
    Keys,
}

fn constant(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Sha256 => "SCRAM_SHA_256",
        Mechanism::Sha512 => "SCRAM_SHA_512",
    }
}

/// The record that an argument asks for. `random` gives the salt where there is none.
pub fn parse(
    argument: &str,
    mut random: impl FnMut() -> u128,
) -> Result<UserScramCredentialRecord, ScramArgumentError> {
    use ScramArgumentError as E;
    let argument = argument.trim();
    let (name, text) = argument
        .split_once('=')
        .ok_or_else(|| E::NoMechanism(argument.to_owned()))?;
    let mechanism = match name {
        "SCRAM-SHA-256" => Mechanism::Sha256,
        "SCRAM-SHA-512" => Mechanism::Sha512,
        other => return Err(E::Mechanism(other.to_owned())),
    };
    let text = text
        .strip_prefix('[')
        .ok_or(E::NoStart)?
        .strip_suffix(']')
        .ok_or(E::NoEnd)?;
    let credential = Credential::parse(text)?;
    let iterations = credential.iterations(mechanism)?;
    let salt = match &credential.salt {
        Some(salt) => decode(salt).ok_or_else(|| E::Salt(salt.clone()))?,
        None => random().to_be_bytes().to_vec(),
    };
    let salted_password = match (&credential.password, &credential.salted_password) {
        (Some(password), _) => {
            mechanism.salted_password(password.as_bytes(), &salt, iterations.unsigned_abs())
        }
        (None, None) => return Err(E::NoPassword),
        (None, Some(_)) if credential.salt.is_none() => return Err(E::SaltedWithoutSalt),
        (None, Some(salted)) => decode(salted).ok_or_else(|| E::SaltedPassword(salted.clone()))?,
    };
    let keys = mechanism.keys(&salted_password).ok_or(E::Keys)?;
    Ok(UserScramCredentialRecord {
        name: credential.name,
        mechanism: mechanism.code(),
        salt: salt.into(),
        stored_key: keys.stored.into(),
        server_key: keys.server.into(),
        iterations,
        ..Default::default()
    })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[derive(Debug, Default)]
struct Credential {
    name: String,
    password: Option<String>,
    salted_password: Option<String>,
    salt: Option<String>,
    iterations: Option<String>,
}

impl Credential {
    fn parse(text: &str) -> Result<Credential, ScramArgumentError> {
        let mut credential = Credential::default();
        let mut name = None;
        let mut unknown = Vec::new();
        for component in text.split(',') {
            let (key, value) = component
                .split_once('=')
                .ok_or_else(|| ScramArgumentError::NoEquals(component.to_owned()))?;
            let unquoted = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'));
            let value = Some(unquoted.unwrap_or(value).to_owned());
            match key {
                "name" => name = value,
                "password" => credential.password = value,
                "saltedpassword" => credential.salted_password = value,
                "salt" => credential.salt = value,
                "iterations" => credential.iterations = value,
                other => unknown.push(other.to_owned()),
            }
        }
        credential.name = name.ok_or(ScramArgumentError::NoName)?;
        if credential.password.is_none() && credential.salted_password.is_none() {
            return Err(ScramArgumentError::NoPassword);
        }
        if !unknown.is_empty() {
            unknown.sort();
            return Err(ScramArgumentError::Unknown(unknown.join(", ")));
        }
        Ok(credential)
    }

    fn iterations(&self, mechanism: Mechanism) -> Result<i32, ScramArgumentError> {
        let Some(text) = &self.iterations else {
            return Ok(ITERATIONS_MIN);
        };
        match text.parse() {
            Err(_) => Err(ScramArgumentError::Iterations(text.clone())),
            Ok(..ITERATIONS_MIN) => Err(ScramArgumentError::TooFewIterations(constant(mechanism))),
            Ok(iterations) if iterations > ITERATIONS_MAX => {
                Err(ScramArgumentError::TooManyIterations(constant(mechanism)))
            }
            Ok(iterations) => Ok(iterations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(argument: &str) -> String {
        parse(argument, || 0).unwrap_err().to_string()
    }

    #[test]
    fn keys_are_those_that_kafka_derives() {
        let record = parse(
            "SCRAM-SHA-256=[name=alice,iterations=4096,salt=\"MTIzNDU2Nzg5MDEyMzQ1Ng==\",\
             password=secret]",
            || 0,
        )
        .unwrap();
        assert_eq!(record.salt.as_ref(), b"1234567890123456");
        let starts = |bytes: &[u8], start: [i8; 4]| {
            bytes
                .iter()
                .zip(start)
                .all(|(byte, expected)| *byte as i8 == expected)
        };
        assert!(starts(&record.stored_key, [-39, 40, 110, 49]));
        assert!(starts(&record.server_key, [97, 25, -72, 50]));
    }

    #[test]
    fn mistakes_are_named_as_kafka_names_them() {
        for (argument, expected) in [
            (
                "SCRAM-SHA-256",
                "Failed to find equals sign in SCRAM argument 'SCRAM-SHA-256'",
            ),
            (
                "SCRAM-SHA-1=[name=a]",
                "The add-scram mechanism SCRAM-SHA-1 is not supported.",
            ),
            (
                "SCRAM-SHA-256=[name=a]",
                "You must supply one of 'password' or 'saltedpassword' to add-scram",
            ),
            (
                "SCRAM-SHA-256=[name=a,password=x,iterations=1]",
                "The 'iterations' value must be >= 4096 for add-scram using SCRAM_SHA_256",
            ),
            (
                "SCRAM-SHA-512=[name=a,password=x,b=c]",
                "Unknown SCRAM configurations: b",
            ),
            (
                "SCRAM-SHA-512=name=a",
                "Expected configuration string to start with [",
            ),
        ] {
            assert_eq!(error(argument), expected);
        }
    }
}
