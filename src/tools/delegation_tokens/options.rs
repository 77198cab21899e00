//! The options of `kafka-delegation-tokens`, and which of them go together.
use crate::tools::options::jopt::OptionSet;
use crate::tools::options::{Definition, Group, Opt};
use crate::tools::output::OUTPUT;
use crate::tools::session::OTHER;
use crate::tools::usage::{UsageError, exclude, one_of, require};

pub static DEFINITION: Definition = Definition {
    name: "delegation-tokens",
    about: "Creates, renews, expires and describes delegation tokens.",
    groups: &[
        Group {
            heading: "What to do (exactly one)",
            options: &[
                Opt::flag("create", "Create a token"),
                Opt::flag("renew", "Let a token live longer"),
                Opt::flag("expire", "Let a token expire"),
                Opt::flag("describe", "Show tokens"),
            ],
        },
        Group {
            heading: "Where",
            options: &[
                Opt::value(
                    "bootstrap-server",
                    "HOST:PORT,...",
                    "A broker of the cluster (required)",
                ),
                Opt::value(
                    "command-config",
                    "FILE",
                    "Settings of the client: a .properties file (required: tokens need a secure \
                     channel)",
                ),
            ],
        },
        Group {
            heading: "Which token, and for how long",
            options: &[
                Opt::optional_value("hmac", "HMAC", "Renew and expire: the token, in base64"),
                Opt::optional_value(
                    "max-life-time-period",
                    "MS",
                    "Create: for how long; -1 means the broker's limit",
                ),
                Opt::optional_value(
                    "renew-time-period",
                    "MS",
                    "Renew: for how long; -1 means the broker's default",
                ),
                Opt::optional_value(
                    "expiry-time-period",
                    "MS",
                    "Expire: after how long; -1 means now",
                ),
                Opt::optional_value(
                    "owner-principal",
                    "TYPE:NAME",
                    "Create: whose token; describe: whose tokens (repeatable)",
                )
                .repeatable(),
                Opt::optional_value(
                    "renewer-principal",
                    "TYPE:NAME",
                    "Create: who may renew it (repeatable)",
                )
                .repeatable(),
            ],
        },
        OUTPUT,
        OTHER,
    ],
    after: "",
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Renew,
    Expire,
    Describe,
}

const ACTIONS: [(&str, Action); 4] = [
    ("create", Action::Create),
    ("renew", Action::Renew),
    ("expire", Action::Expire),
    ("describe", Action::Describe),
];

/// The action asked for, when the options make sense together.
pub fn check(set: &OptionSet) -> Result<Action, UsageError> {
    let action = one_of(
        set,
        &ACTIONS,
        "Command must include exactly one action: --create, --renew, --expire or --describe",
    )?;
    require(set, &["bootstrap-server", "command-config"])?;
    let (name, needed, others): (_, &[&str], &[&str]) = match action {
        Action::Create => (
            "create",
            &["max-life-time-period"],
            &["hmac", "renew-time-period", "expiry-time-period"],
        ),
        Action::Renew => (
            "renew",
            &["hmac", "renew-time-period"],
            &[
                "renewer-principal",
                "max-life-time-period",
                "expiry-time-period",
                "owner-principal",
            ],
        ),
        Action::Expire => (
            "expire",
            &["hmac", "expiry-time-period"],
            &[
                "max-life-time-period",
                "renew-time-period",
                "owner-principal",
            ],
        ),
        Action::Describe => (
            "describe",
            &[],
            &[
                "renew-time-period",
                "max-life-time-period",
                "hmac",
                "expiry-time-period",
            ],
        ),
    };
    require(set, needed)?;
    exclude(set, name, others)?;
    // Their values are optional to the parser alone.
    for option in needed {
        if set.value(option)?.is_none() {
            let text = format!("Option {option} requires an argument");
            return Err(UsageError(text));
        }
    }
    Ok(action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::options::jopt::parse;

    fn checked(line: &str) -> Result<Action, String> {
        let line = format!("--bootstrap-server b --command-config c {line}");
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        check(&parse(&DEFINITION, &args).unwrap()).map_err(|error| error.0)
    }

    #[test]
    fn what_goes_together() {
        assert_eq!(checked("--describe"), Ok(Action::Describe));
        assert_eq!(
            checked("--renew --hmac AA== --renew-time-period=-1"),
            Ok(Action::Renew)
        );
        for (line, want) in [
            (
                "--create --renew",
                "Command must include exactly one action: --create, --renew, --expire or \
                 --describe",
            ),
            (
                "--expire --hmac AAAA",
                "Missing required argument \"[expiry-time-period]\"",
            ),
            (
                "--create --max-life-time-period=1 --hmac AAAA",
                "Option \"[create]\" can't be used with option \"[hmac]\"",
            ),
            (
                "--create --max-life-time-period",
                "Option max-life-time-period requires an argument",
            ),
        ] {
            assert_eq!(checked(line), Err(want.to_owned()), "{line}");
        }
    }
}
