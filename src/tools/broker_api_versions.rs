//! `kafka-broker-api-versions`: which APIs each broker speaks, in which versions.
use serde_json::{Value, json};

use super::cluster::{block_on, thrown};
use super::listing::{self, column};
use super::options::Definition;
use super::options::jopt::OptionSet;
use super::output::{Format, Invocation, OUTPUT, Printer};
use super::registry::Exit;
use super::session::{self, OTHER, WHERE};
use super::usage::require;
use crate::client::admin::Admin;
use crate::client::cluster::Role;
use crate::client::connection::{ApiVersions, Endpoint};
use crate::client::{ClientError, Result};
use crate::protocol::ApiKey;

pub static DEFINITION: Definition = Definition {
    name: "broker-api-versions",
    about: "Shows which APIs each broker speaks, in which versions.",
    groups: &[WHERE, OUTPUT, OTHER],
    after: "",
};

type Answer = (Endpoint, Result<ApiVersions>);
/// An API by number, the one it is if we know it, and the broker's versions if it has it.
type Api = (i16, Option<ApiKey>, Option<(i16, i16)>);

pub fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let check = |set: &OptionSet| require(set, &["bootstrap-server"]);
    let request = match session::read(&DEFINITION, &invocation, check)? {
        Ok(request) => request,
        Err(exit) => return Ok(exit),
    };
    let config = session::admin_config(&request.options)?;
    let answers = block_on(async {
        let admin = Admin::new(config);
        let answers = ask(&admin).await;
        admin.close().await;
        Ok(answers?)
    })?;
    print(request.format, &answers)?;
    Ok(Exit::SUCCESS)
}

/// What the brokers of the cluster announced when they were connected to.
async fn ask(admin: &Admin) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for broker in admin.describe_cluster().await?.brokers {
        let connection = admin.client().connection_to(&broker, Role::General).await;
        answers.push((
            broker,
            connection.map(|connection| connection.versions().clone()),
        ));
    }
    Ok(answers)
}

fn print(format: Format, answers: &[Answer]) -> anyhow::Result<()> {
    let mut printer = Printer::default();
    if format == Format::Kafka {
        for (broker, versions) in answers {
            let rack = broker.rack.as_deref().unwrap_or("null");
            let broker = format!("{broker} (id: {} rack: {rack} isFenced: false)", broker.id);
            match versions {
                Ok(versions) => {
                    let lines = lines(versions);
                    printer.line(format!("{broker} -> (\n\t{}\n)", lines.join(",\n\t")))?;
                }
                Err(error) => {
                    let error = thrown(error.clone());
                    printer.line(format!("{broker} -> ERROR: {error}"))?;
                }
            }
        }
        return Ok(printer.flush()?);
    }
    let columns = [
        column("Broker", "broker"),
        column("API", "api"),
        column("Key", "key"),
        column("From", "min"),
        column("To", "max"),
        column("Usable", "usable"),
        column("Error", "error"),
    ];
    let rows: Vec<Vec<Value>> = answers
        .iter()
        .flat_map(|(broker, versions)| rows(broker, versions))
        .collect();
    listing::show(&mut printer, format, &columns, &rows, "No brokers.")?;
    Ok(printer.flush()?)
}

/// The APIs that a client may use: what the broker has, and what it lacks of what we know.
fn apis(versions: &ApiVersions) -> Vec<Api> {
    let mut apis: Vec<_> = versions
        .ranges()
        .map(|(key, range)| (key, ApiKey::from_i16(key), Some(range)))
        .collect();
    let lacking = ApiKey::ALL.iter().filter(|api| is_for_clients(**api));
    for api in lacking.filter(|api| versions.range(**api).is_none()) {
        apis.push((api.code(), Some(*api), None));
    }
    apis.sort_by_key(|(key, ..)| *key);
    apis
}

fn is_for_clients(api: ApiKey) -> bool {
    // Brokers offer these two only with a metrics plugin.
    let telemetry = [ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry];
    api.broker_versions().is_some() || telemetry.contains(&api)
}

/// The version that a client of this release would use.
fn usable(api: ApiKey, (min, max): (i16, i16)) -> std::result::Result<i16, &'static str> {
    let known = api.versions();
    if *known.end() < min {
        Err("node too new")
    } else if max < *known.start() {
        Err("node too old")
    } else {
        Ok(max.min(*known.end()))
    }
}

fn lines(versions: &ApiVersions) -> Vec<String> {
    let line = |(key, api, range): Api| {
        let name = api.map_or("UNKNOWN", ApiKey::name);
        let Some((min, max)) = range else {
            return format!("{name}({key}): UNSUPPORTED");
        };
        let range = match min == max {
            true => min.to_string(),
            false => format!("{min} to {max}"),
        };
        match api.map(|api| usable(api, (min, max))) {
            Some(Ok(version)) => format!("{name}({key}): {range} [usable: {version}]"),
            Some(Err(why)) => format!("{name}({key}): {range} [unusable: {why}]"),
            None => format!("{name}({key}): {range}"),
        }
    };
    apis(versions).into_iter().map(line).collect()
}

fn rows(
    broker: &Endpoint,
    versions: &std::result::Result<ApiVersions, ClientError>,
) -> Vec<Vec<Value>> {
    let nothing = Value::Null;
    let versions = match versions {
        Ok(versions) => versions,
        Err(error) => {
            let mut row = vec![nothing; 7];
            row.splice(..1, [json!(broker.id)]);
            row.splice(6.., [json!(error.to_string())]);
            return vec![row];
        }
    };
    let row = |(key, api, range): Api| {
        let version = api
            .zip(range)
            .and_then(|(api, range)| usable(api, range).ok());
        vec![
            json!(broker.id),
            json!(api.map(ApiKey::name)),
            json!(key),
            json!(range.map(|(min, _)| min)),
            json!(range.map(|(_, max)| max)),
            json!(version),
            Value::Null,
        ]
    };
    apis(versions).into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_is_the_highest_that_both_know() {
        let newest = *ApiKey::Metadata.versions().end();
        assert_eq!(usable(ApiKey::Metadata, (0, 99)), Ok(newest));
        assert_eq!(usable(ApiKey::Metadata, (0, 2)), Ok(2));
        assert_eq!(usable(ApiKey::Metadata, (90, 99)), Err("node too new"));
        assert_eq!(usable(ApiKey::Fetch, (0, 1)), Err("node too old"));
    }
}
