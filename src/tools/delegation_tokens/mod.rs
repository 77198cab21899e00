//! `kafka-delegation-tokens`: creates, renews, expires and describes delegation tokens.
pub mod options;

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use self::options::{Action, DEFINITION, check};
use super::cluster::{block_on, plain, thrown};
use super::listing::{self, column, padded};
use super::options::jopt::OptionSet;
use super::output::{Format, Invocation, Printer, message};
use super::registry::Exit;
use super::session;
use crate::client::admin::{Admin, DelegationToken, Principal};

/// What every action needs.
struct Command<'a> {
    admin: &'a Admin,
    options: &'a OptionSet,
    format: Format,
    printer: Printer,
}

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let config = session::admin_config(&request.options)?;
    block_on(async {
        let admin = Admin::new(config);
        let mut command = Command {
            admin: &admin,
            options: &request.options,
            format: request.format,
            printer: Printer::default(),
        };
        let ended = match request.checked {
            Action::Create => command.create().await,
            Action::Renew => command.renew().await,
            Action::Expire => command.expire().await,
            Action::Describe => command.describe().await,
        };
        admin.close().await;
        command.printer.flush()?;
        match ended {
            Ok(()) => Ok(Exit::SUCCESS),
            Err(failure) => {
                match command.format {
                    Format::Kafka => message(failure.to_string()),
                    _ => message(plain(&failure)),
                }
                Ok(Exit::FAILURE)
            }
        }
    })
}

impl Command<'_> {
    async fn create(&mut self) -> anyhow::Result<()> {
        let renewers = principals(self.options.values("renewer-principal"))?;
        let lifetime = self.number("max-life-time-period")?;
        self.note(&format!(
            "Calling create token operation with renewers :{} , max-life-time-period :{lifetime}",
            list(&renewers)
        ))?;
        let owners = principals(self.options.values("owner-principal"))?;
        let created = self
            .admin
            .create_delegation_token(owners.first(), &renewers, lifetime);
        let token = created.await.map_err(thrown)?;
        self.note(&format!(
            "Created delegation token with tokenId : {}",
            token.token_id
        ))?;
        self.show(&[token])
    }

    async fn renew(&mut self) -> anyhow::Result<()> {
        let (hmac, period) = (self.hmac()?, self.number("renew-time-period")?);
        let text = self.options.value("hmac")?.unwrap_or_default();
        self.note(&format!(
            "Calling renew token operation with hmac :{text} , renew-time-period :{period}"
        ))?;
        let renewed = self.admin.renew_delegation_token(&hmac, period).await;
        self.tell_expiry("renew", renewed.map_err(thrown)?)
    }

    async fn expire(&mut self) -> anyhow::Result<()> {
        let (hmac, period) = (self.hmac()?, self.number("expiry-time-period")?);
        let text = self.options.value("hmac")?.unwrap_or_default();
        self.note(&format!(
            "Calling expire token operation with hmac :{text} , expire-time-period :{period}"
        ))?;
        let expired = self.admin.expire_delegation_token(&hmac, period).await;
        self.tell_expiry("expire", expired.map_err(thrown)?)
    }

    /// Kafka does not end the line.
    fn tell_expiry(&mut self, operation: &str, expires: i64) -> anyhow::Result<()> {
        let text = format!(
            "Completed {operation} operation. New expiry date : {}",
            date(expires)
        );
        match self.format {
            Format::Kafka => self.printer.text(&text)?,
            Format::Table => self.printer.line(text)?,
            Format::Json => self.printer.json(&json!({ "expiryTimestamp": expires }))?,
        }
        Ok(())
    }

    async fn describe(&mut self) -> anyhow::Result<()> {
        let owners = principals(self.options.values("owner-principal"))?;
        self.note(&match owners.is_empty() {
            true => "Calling describe token operation for current user.".to_owned(),
            false => format!(
                "Calling describe token operation for owners: {}",
                list(&owners)
            ),
        })?;
        let owners = Some(&*owners).filter(|owners| !owners.is_empty());
        let tokens = self.admin.describe_delegation_tokens(owners).await;
        let tokens = tokens.map_err(thrown)?;
        if self.format == Format::Kafka {
            let text = format!("Total number of tokens : {}", tokens.len());
            self.printer.text(&text)?;
        }
        self.show(&tokens)
    }

    /// What Kafka tells before it asks, and people need not read.
    fn note(&mut self, text: &str) -> anyhow::Result<()> {
        if self.format == Format::Kafka {
            self.printer.line(text)?;
            // It is there even when the request fails.
            self.printer.flush()?;
        }
        Ok(())
    }

    fn number(&self, option: &str) -> anyhow::Result<i64> {
        Ok(self.options.number(option)?.unwrap_or(-1))
    }

    fn hmac(&self) -> anyhow::Result<Bytes> {
        let text = self.options.value("hmac")?.unwrap_or_default();
        let bytes = BASE64.decode(text);
        let bytes = bytes.map_err(|error| anyhow!("the HMAC '{text}' is not base64: {error}"))?;
        Ok(bytes.into())
    }

    fn show(&mut self, tokens: &[DelegationToken]) -> anyhow::Result<()> {
        if self.format != Format::Kafka {
            let columns = [
                column("Token", "tokenId"),
                column("HMAC", "hmac"),
                column("Owner", "owner"),
                column("Requester", "requester"),
                column("Renewers", "renewers"),
                column("Issued", "issueTimestamp"),
                column("Expires", "expiryTimestamp"),
                column("Lives until", "maxTimestamp"),
            ];
            // Programs read numbers, people dates.
            let time = |ms| match self.format {
                Format::Json => json!(ms),
                _ => json!(date(ms)),
            };
            let row = |token: &DelegationToken| {
                let renewers: Vec<String> =
                    token.renewers.iter().map(Principal::to_string).collect();
                vec![
                    json!(token.token_id),
                    json!(BASE64.encode(&token.hmac)),
                    json!(token.owner.to_string()),
                    json!(token.requester.to_string()),
                    json!(renewers),
                    time(token.issued),
                    time(token.expires),
                    time(token.lives_until),
                ]
            };
            let rows: Vec<_> = tokens.iter().map(row).collect();
            let (printer, none) = (&mut self.printer, "No delegation tokens.");
            return Ok(listing::show(printer, self.format, &columns, &rows, none)?);
        }
        let header = [
            "TOKENID",
            "HMAC",
            "OWNER",
            "REQUESTER",
            "RENEWERS",
            "ISSUEDATE",
            "EXPIRYDATE",
            "MAXDATE",
        ];
        let rows = tokens.iter().map(|token| {
            [
                token.token_id.clone(),
                BASE64.encode(&token.hmac),
                token.owner.to_string(),
                token.requester.to_string(),
                list(&token.renewers),
                date(token.issued),
                date(token.expires),
                date(token.lives_until),
            ]
        });
        const WIDTHS: [usize; 8] = [15, 30, 15, 15, 25, 15, 15, 15];
        for row in [header.map(str::to_owned)].into_iter().chain(rows) {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.printer
                .line(format!("\n{}", padded(&cells, &WIDTHS)))?;
        }
        Ok(())
    }
}

/// `User:alice`, … with what Kafka says of others.
fn principals(texts: &[String]) -> anyhow::Result<Vec<Principal>> {
    let principal = |text: &String| {
        let text = text.trim();
        let (kind, name) = text.split_once(':').ok_or_else(|| {
            anyhow!("expected a string in format principalType:principalName but got {text}")
        })?;
        Ok(Principal {
            kind: kind.to_owned(),
            name: name.to_owned(),
        })
    };
    texts.iter().map(principal).collect()
}

/// `[User:alice, User:bob]`.
fn list(principals: &[Principal]) -> String {
    let names: Vec<String> = principals.iter().map(Principal::to_string).collect();
    format!("[{}]", names.join(", "))
}

/// To the minute, in the time zone of this machine.
fn date(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => {
            let local = time.to_zoned(TimeZone::system());
            local.strftime("%Y-%m-%dT%H:%M").to_string()
        }
        Err(_) => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_have_a_type() {
        let parsed = principals(&[" User:a:b ".to_owned()]).unwrap();
        assert_eq!((&*parsed[0].kind, &*parsed[0].name), ("User", "a:b"));
        assert_eq!(list(&parsed), "[User:a:b]");
        let error = principals(&["alice".to_owned()]).unwrap_err().to_string();
        assert_eq!(
            error,
            "expected a string in format principalType:principalName but got alice"
        );
    }
}
