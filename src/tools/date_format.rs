//! Times in the patterns of Java's `SimpleDateFormat`, in English and in the local time zone.
use jiff::Zoned;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// The letters that Java knows.
const LETTERS: &str = "GyYMLwWDdFEuaHkKhmsSzZX";

/// A pattern that was found to be one.
#[derive(Debug)]
pub struct DateFormat {
    parts: Vec<Part>,
    zone: TimeZone,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

impl DateFormat {
    /// Reads a pattern; what is wrong with it is said in Java's words.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        Ok(DateFormat {
            parts: parts(pattern)?,
            zone: TimeZone::system(),
        })
    }

    /// A time in milliseconds since 1970.
    pub fn format(&self, ms: i64) -> String {
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        let time = time.to_zoned(self.zone.clone());
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(letter, width) => text.push_str(&field(&time, *letter, *width)),
            }
        }
        text
    }
}

fn parts(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts: Vec<Part> = Vec::new();
    let mut text = String::new();
    let mut quoted = false;
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' if rest.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => quoted = !quoted,
            c if quoted || !c.is_ascii_alphabetic() => text.push(c),
            c if !LETTERS.contains(c) => return Err(format!("Illegal pattern character '{c}'")),
            c => {
                let mut width = 1;
                while rest.next_if_eq(&c).is_some() {
                    width += 1;
                }
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Field(c, width));
            }
        }
    }
    if quoted {
        return Err("Unterminated quote".to_owned());
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

fn field(time: &Zoned, letter: char, width: usize) -> String {
    let named = |format: &str| strtime::format(format, time).unwrap_or_default();
    let hour = i32::from(time.hour());
    let one_to = |most: i32| if hour % most == 0 { most } else { hour % most };
    let number = match letter {
        'G' => return if time.year() > 0 { "AD" } else { "BC" }.to_owned(),
        'y' if width == 2 => return format!("{:02}", time.year().rem_euclid(100)),
        'Y' if width == 2 => return format!("{:02}", week_year(time).rem_euclid(100)),
        'M' | 'L' if width >= 4 => return named("%B"),
        'M' | 'L' if width == 3 => return named("%b"),
        'E' if width >= 4 => return named("%A"),
        'E' => return named("%a"),
        'a' => return if hour < 12 { "AM" } else { "PM" }.to_owned(),
        'z' => return named("%Z"),
        'Z' => return named("%z"),
        'X' => return iso_offset(time, width),
        'y' => i32::from(time.year()),
        'Y' => week_year(time),
        'M' | 'L' => i32::from(time.month()),
        'w' => week_of_year(time),
        'W' => (i32::from(time.day()) + first_weekday(time) + 6) / 7,
        'D' => i32::from(time.day_of_year()),
        'd' => i32::from(time.day()),
        'F' => (i32::from(time.day()) - 1) / 7 + 1,
        'u' => i32::from(time.weekday().to_monday_one_offset()),
        'H' => hour,
        'k' => one_to(24),
        'K' => hour % 12,
        'h' => one_to(12),
        'm' => i32::from(time.minute()),
        's' => i32::from(time.second()),
        _ => i32::from(time.millisecond()),
    };
    format!("{number:0width$}")
}

/// The weekday of the month's first day, Sunday being 0.
fn first_weekday(time: &Zoned) -> i32 {
    i32::from(
        time.date()
            .first_of_month()
            .weekday()
            .to_sunday_zero_offset(),
    )
}

/// Weeks begin on Sundays; the first one is that of January 1st.
fn week_of_year(time: &Zoned) -> i32 {
    if week_year(time) > i32::from(time.year()) {
        return 1;
    }
    let first = time
        .date()
        .first_of_year()
        .weekday()
        .to_sunday_zero_offset();
    (i32::from(time.day_of_year()) + i32::from(first) + 6) / 7
}

/// The last days of December are in the week of January 1st.
fn week_year(time: &Zoned) -> i32 {
    let left = i32::from(time.days_in_year()) - i32::from(time.day_of_year());
    let to_saturday = 6 - i32::from(time.weekday().to_sunday_zero_offset());
    i32::from(time.year()) + i32::from(to_saturday > left)
}

/// `Z`, `+01`, `+0100` or `+01:00`.
fn iso_offset(time: &Zoned, width: usize) -> String {
    let seconds = time.offset().seconds();
    if seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    let (hours, minutes) = (minutes / 60, minutes % 60);
    match width {
        1 => format!("{sign}{hours:02}"),
        2 => format!("{sign}{hours:02}{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(pattern: &str, ms: i64) -> String {
        let mut format = DateFormat::parse(pattern).unwrap();
        format.zone = TimeZone::UTC;
        format.format(ms)
    }

    /// Printed by Java 17.
    #[test]
    fn patterns_mean_what_java_takes_them_for() {
        for (pattern, first, second) in [
            (
                "yyyy-MM-dd HH:mm:ss:SSS",
                "2026-11-21 15:31:16:397",
                "2000-02-29 00:00:00:005",
            ),
            ("yy M d H m s S", "26 11 21 15 31 16 397", "00 2 29 0 0 0 5"),
            (
                "EEE EEEE MMM MMMM LLL",
                "Sat Saturday Nov November Nov",
                "Tue Tuesday Feb February Feb",
            ),
            (
                "a h hh k K KK kk",
                "PM 3 03 15 3 03 15",
                "AM 12 12 24 0 00 24",
            ),
            ("D F w W u", "325 3 47 3 6", "60 5 10 5 2"),
            ("z Z X XX XXX", "UTC +0000 Z Z Z", "UTC +0000 Z Z Z"),
            ("'at' ''yy''", "at '26'", "at '00'"),
            ("y yyy yyyyy", "2026 2026 02026", "2000 2000 02000"),
            (" SSSSS", " 00397", " 00005"),
            ("G YYYY", "AD 2026", "AD 2000"),
        ] {
            assert_eq!(formatted(pattern, 1_795_275_076_397), first, "{pattern}");
            assert_eq!(formatted(pattern, 951_782_400_005), second, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_in_javas_words() {
        for (pattern, want) in [
            ("foo bar", "Illegal pattern character 'f'"),
            ("T", "Illegal pattern character 'T'"),
            ("'x", "Unterminated quote"),
        ] {
            assert_eq!(DateFormat::parse(pattern).unwrap_err(), want);
        }
    }
}
