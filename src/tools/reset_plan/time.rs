//! Times and durations of `--to-datetime` and `--by-duration`.
use anyhow::{anyhow, bail};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Span, SpanRelativeTo};

/// `2020-01-01T00:00:00.000`, in UTC unless it ends in `Z` or an offset such as `+02:00`.
pub fn parse_time(text: &str) -> anyhow::Result<i64> {
    let Some((_, time)) = text.split_once('T') else {
        bail!(
            "java.text.ParseException: Error parsing timestamp. It does not contain a 'T' \
             according to ISO8601 format"
        );
    };
    let unparseable = || anyhow!("java.text.ParseException: Unparseable date: \"{text}\"");
    let zone_at = time.find(['+', '-', 'Z']);
    let (time, zone) = time.split_at(zone_at.unwrap_or(time.len()));
    let local = text.get(..text.len() - zone.len()).unwrap_or(text);
    if !time.contains('.') {
        return Err(unparseable());
    }
    let local: DateTime = local.parse().map_err(|_| unparseable())?;
    let offset = zone_offset(zone).ok_or_else(unparseable)?;
    let instant = offset.to_timestamp(local).map_err(|_| unparseable())?;
    Ok(instant.as_millisecond())
}

/// ``, `Z`, `+02`, `+0230`, `+02:30`.
fn zone_offset(zone: &str) -> Option<Offset> {
    let Some(sign) = zone.chars().next().filter(|sign| *sign != 'Z') else {
        return matches!(zone, "" | "Z").then_some(Offset::UTC);
    };
    let digits: String = zone.chars().skip(1).filter(|c| *c != ':').collect();
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = match digits.get(2..)? {
        "" => 0,
        minutes => minutes.parse().ok()?,
    };
    let seconds = hours * 3600 + minutes * 60;
    Offset::from_seconds(if sign == '-' { -seconds } else { seconds }).ok()
}

/// `PnDTnHnMnS` in milliseconds; days have 24 hours.
pub fn parse_duration(text: &str) -> anyhow::Result<i64> {
    let wrong = || anyhow!("Text cannot be parsed to a Duration");
    // Other notations, such as 1h, are not Java's.
    let unsigned = text.trim_start_matches(['+', '-']);
    if !unsigned.starts_with(['P', 'p']) {
        return Err(wrong());
    }
    let span: Span = text.parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 || span.get_weeks() != 0 {
        return Err(wrong());
    }
    let days = SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(days).map_err(|_| wrong())?;
    i64::try_from(duration.as_millis()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_unless_they_say() {
        for (text, want) in [
            ("2020-01-01T00:00:00.000", 1_577_836_800_000),
            ("2020-01-01T00:00:00.250Z", 1_577_836_800_250),
            ("2020-01-01T02:00:00.000+02:00", 1_577_836_800_000),
            ("2019-12-31T22:30:00.000-0130", 1_577_836_800_000),
        ] {
            assert_eq!(parse_time(text).unwrap(), want, "{text}");
        }
        for text in [
            "2020-01-01",
            "2020-01-01T00:00:00",
            "noonT.",
            "2020-01-01T00:00:00.0+x",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_iso_8601() {
        for (text, want) in [
            ("PT0S", 0),
            ("P1DT2H3M4S", 93_784_000),
            ("PT0.5S", 500),
            ("-PT1S", -1_000),
        ] {
            assert_eq!(parse_duration(text).unwrap(), want, "{text}");
        }
        for text in ["", "1h", "P1Y", "P1W", "PT"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
