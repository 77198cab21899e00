//! Regular expressions that members subscribe with: RE2's language as RE2/J reads it, which Kafka
//! uses, run by the `regex` crate. What the two spell differently is rewritten; what RE2/J refuses
//! is refused with its words.
use std::collections::BTreeSet;

use regex::Regex;

/// The largest count in `x{2,5}`.
const REPEAT_MAX: u32 = 1_000;

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Why an expression is refused, as RE2/J describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    #[error("missing closing )")]
    MissingParenthesis,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("missing argument to repetition operator")]
    MissingRepeatArgument,
    #[error("invalid nested repetition operator")]
    NestedRepeat,
    #[error("invalid repeat count")]
    RepeatCount,
    #[error("invalid escape sequence")]
    Escape,
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    #[error("invalid or unsupported Perl syntax")]
    PerlSyntax,
    #[error("invalid named capture")]
    NamedCapture,
    #[error("invalid character class range")]
    ClassRange,
    #[error("duplicate capture group name")]
    DuplicateName,
    #[error("regexp/syntax: internal error")]
    Unbalanced,
}

/// An expression that matches a whole topic name.
pub fn compile(pattern: &str) -> Result<Regex, RegexError> {
    let rewritten = Rewriter::new(pattern).run()?;
    // What is left to fail: classes and names that do not exist, and ranges the wrong way round.
    Regex::new(&format!(r"\A(?:{rewritten})\z")).map_err(|_| RegexError::ClassRange)
}

struct Rewriter<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    out: String,
    depth: usize,
    /// The names of captures.
    names: BTreeSet<String>,
    /// There is something before this that `*` can repeat.
    can_repeat: bool,
    is_repeated: bool,
}

impl<'a> Rewriter<'a> {
    fn new(pattern: &'a str) -> Rewriter<'a> {
        Rewriter {
            rest: pattern.chars().peekable(),
            out: String::with_capacity(pattern.len()),
            depth: 0,
            names: BTreeSet::new(),
            can_repeat: false,
            is_repeated: false,
        }
    }

    fn run(mut self) -> Result<String, RegexError> {
        while let Some(next) = self.rest.next() {
            match next {
                '*' | '+' | '?' => self.repeat(&next.to_string())?,
                '{' => self.brace()?,
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => self.plain("|", false),
                '[' => self.class()?,
                '\\' => self.escape()?,
                '}' | ']' => self.literal(next),
                other => self.plain(&other.to_string(), true),
            }
        }
        match self.depth {
            0 => Ok(self.out),
            _ => Err(RegexError::MissingParenthesis),
        }
    }

    fn plain(&mut self, text: &str, can_repeat: bool) {
        self.out.push_str(text);
        self.can_repeat = can_repeat;
        self.is_repeated = false;
    }

    fn literal(&mut self, c: char) {
        self.plain(&escaped(c), true);
    }

    fn repeat(&mut self, operator: &str) -> Result<(), RegexError> {
        if !self.can_repeat {
            return Err(RegexError::MissingRepeatArgument);
        }
        if self.is_repeated {
            return Err(RegexError::NestedRepeat);
        }
        self.out.push_str(operator);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        self.is_repeated = true;
        Ok(())
    }

    /// A repetition, or if it does not look like one, a brace.
    fn brace(&mut self) -> Result<(), RegexError> {
        let ahead: String = self.rest.clone().take_while(|c| *c != '}').collect();
        let is_closed = self.rest.clone().any(|c| c == '}');
        let (least, most) = match ahead.split_once(',') {
            Some((least, most)) => (least, most),
            None => (ahead.as_str(), ahead.as_str()),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_closed || !is_number(least) || !(most.is_empty() || is_number(most)) {
            self.literal('{');
            return Ok(());
        }
        let count = |text: &str| text.parse::<u32>().ok().filter(|n| *n <= REPEAT_MAX);
        let least = count(least).ok_or(RegexError::RepeatCount)?;
        if !most.is_empty() && count(most).is_none_or(|most| most < least) {
            return Err(RegexError::RepeatCount);
        }
        for _ in 0..=ahead.chars().count() {
            self.rest.next();
        }
        self.repeat(&format!("{{{ahead}}}"))
    }

    fn open(&mut self) -> Result<(), RegexError> {
        if self.rest.next_if_eq(&'?').is_none() {
            self.depth += 1;
            self.plain("(", false);
            return Ok(());
        }
        let ahead: String = self.rest.clone().take(2).collect();
        let named = ahead == "P<" || ahead.starts_with('<') && !matches!(&*ahead, "<=" | "<!");
        if named {
            let name: String = self.rest.by_ref().take_while(|c| *c != '>').collect();
            let name = name.trim_start_matches(['P', '<']);
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(RegexError::NamedCapture);
            }
            if !self.names.insert(name.to_owned()) {
                return Err(RegexError::DuplicateName);
            }
            // The name may start with a digit, which the crate does not take; nobody asks for it.
            self.depth += 1;
            self.plain("(", false);
            return Ok(());
        }
        self.flags()
    }

    /// `(?i-s)` or `(?i:`; the flags are i, m, s and U.
    fn flags(&mut self) -> Result<(), RegexError> {
        let mut flags = String::new();
        let is_group = loop {
            match self.rest.next() {
                Some(flag @ ('i' | 'm' | 's' | 'U')) => flags.push(flag),
                Some('-') if !flags.contains('-') => flags.push('-'),
                Some(')') => break false,
                Some(':') => break true,
                _ => return Err(RegexError::PerlSyntax),
            }
        };
        if flags.ends_with('-') {
            return Err(RegexError::PerlSyntax);
        }
        if is_group {
            self.depth += 1;
            self.plain(&format!("(?{flags}:"), false);
        } else if !flags.is_empty() {
            let can_repeat = self.can_repeat;
            self.plain(&format!("(?{flags})"), can_repeat);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), RegexError> {
        self.depth = self.depth.checked_sub(1).ok_or(RegexError::Unbalanced)?;
        self.plain(")", true);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), RegexError> {
        let Some(next) = self.rest.next() else {
            return Err(RegexError::TrailingBackslash);
        };
        match next {
            'A' | 'z' | 'b' | 'B' => self.plain(&format!("\\{next}"), true),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.plain(&format!("\\{next}"), true),
            'Q' => self.quoted(),
            'p' | 'P' => {
                let class = self.unicode_class(next)?;
                self.plain(&class, true);
            }
            other => {
                let c = self.character(other)?;
                self.literal(c);
            }
        }
        Ok(())
    }

    /// `\Q` up to `\E` stands for itself.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    fn unicode_class(&mut self, kind: char) -> Result<String, RegexError> {
        let name = match self.rest.next() {
            Some('{') => {
                let name: String = self.rest.by_ref().take_while(|c| *c != '}').collect();
                name
            }
            Some(c) => c.to_string(),
            None => return Err(RegexError::ClassRange),
        };
        Ok(match (kind, name.strip_prefix('^')) {
            ('p', Some(name)) => format!("\\P{{{name}}}"),
            (_, Some(name)) => format!("\\p{{{name}}}"),
            (kind, None) => format!("\\{kind}{{{name}}}"),
        })
    }

    /// The one character that an escape means.
    fn character(&mut self, letter: char) -> Result<char, RegexError> {
        match letter {
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            'x' => self.hexadecimal(),
            '0' => Ok(self.octal(0, 2)),
            '1'..='7' => {
                let has_more = self.rest.peek().is_some_and(|c| ('0'..='7').contains(c));
                match has_more {
                    // A single digit would refer to a group.
                    false => Err(RegexError::Escape),
                    true => Ok(self.octal(letter.to_digit(8).unwrap_or(0), 2)),
                }
            }
            c if c.is_ascii_alphanumeric() => Err(RegexError::Escape),
            c => Ok(c),
        }
    }

    fn octal(&mut self, mut value: u32, digits: usize) -> char {
        for _ in 0..digits {
            let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) else {
                break;
            };
            self.rest.next();
            value = value * 8 + digit;
        }
        char::from_u32(value).unwrap_or('\0')
    }

    fn hexadecimal(&mut self) -> Result<char, RegexError> {
        let digits: String = if self.rest.next_if_eq(&'{').is_some() {
            self.rest.by_ref().take_while(|c| *c != '}').collect()
        } else {
            self.rest.by_ref().take(2).collect()
        };
        let value = u32::from_str_radix(&digits, 16).ok();
        value.and_then(char::from_u32).ok_or(RegexError::Escape)
    }

    fn class(&mut self) -> Result<(), RegexError> {
        let mut class = String::from("[");
        if self.rest.next_if_eq(&'^').is_some() {
            class.push('^');
        }
        let mut is_first = true;
        loop {
            match self.rest.next() {
                None => return Err(RegexError::MissingBracket),
                Some(']') if !is_first => break,
                Some('[') if self.rest.peek() == Some(&':') => {
                    class.push_str(&self.posix_class()?);
                }
                Some('\\') => class.push_str(&self.class_escape()?),
                // Between two characters it makes a range, as in the crate; else it is one.
                Some('-') => {
                    let is_last = self.rest.peek() == Some(&']');
                    class.push_str(if is_first || is_last { "\\-" } else { "-" });
                }
                Some(c) => class.push_str(&escaped(c)),
            }
            is_first = false;
        }
        class.push(']');
        self.plain(&class, true);
        Ok(())
    }

    fn posix_class(&mut self) -> Result<String, RegexError> {
        let ahead: String = self
            .rest
            .clone()
            .skip(1)
            .take_while(|c| *c != ']')
            .collect();
        let Some(name) = ahead.strip_suffix(':') else {
            return Ok("\\[".into());
        };
        if !POSIX_CLASSES.contains(&name.trim_start_matches('^')) {
            return Err(RegexError::ClassRange);
        }
        for _ in 0..ahead.chars().count() + 2 {
            self.rest.next();
        }
        Ok(format!("[:{name}:]"))
    }

    fn class_escape(&mut self) -> Result<String, RegexError> {
        let Some(next) = self.rest.next() else {
            return Err(RegexError::TrailingBackslash);
        };
        match next {
            'd' => Ok("0-9".into()),
            's' => Ok(r"\t\n\x0C\r ".into()),
            'w' => Ok("0-9A-Za-z_".into()),
            'D' | 'S' | 'W' => Ok(format!("\\{next}")),
            'p' | 'P' => self.unicode_class(next),
            other => self.character(other).map(escaped),
        }
    }
}

/// The character itself, whatever it means to the crate.
fn escaped(c: char) -> String {
    match c {
        c if c.is_ascii_alphanumeric() || !c.is_ascii() => c.to_string(),
        c => format!("\\x{{{:X}}}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What RE2/J 1.8, which Kafka 4.3.1 ships, says to each.
    #[test]
    fn refusals_are_re2s() {
        for (pattern, error) in [
            ("(", RegexError::MissingParenthesis),
            ("[", RegexError::MissingBracket),
            ("a**", RegexError::NestedRepeat),
            ("a++", RegexError::NestedRepeat),
            ("x{2}{3}", RegexError::NestedRepeat),
            ("*a", RegexError::MissingRepeatArgument),
            ("a|*", RegexError::MissingRepeatArgument),
            ("\\1", RegexError::Escape),
            ("\\8", RegexError::Escape),
            ("\\Z", RegexError::Escape),
            ("\\C", RegexError::Escape),
            ("\\u0041", RegexError::Escape),
            ("\\x{110000}", RegexError::Escape),
            ("\\xg", RegexError::Escape),
            ("[a-\\d]", RegexError::ClassRange),
            ("(?x)a", RegexError::PerlSyntax),
            ("(?i", RegexError::PerlSyntax),
            ("(?=a)", RegexError::PerlSyntax),
            ("(?P=n)", RegexError::PerlSyntax),
            ("(?-)a", RegexError::PerlSyntax),
            ("(?-:a)", RegexError::PerlSyntax),
            ("(?--i)a", RegexError::PerlSyntax),
            ("(?P<", RegexError::NamedCapture),
            ("a{2,1}", RegexError::RepeatCount),
            ("a{1001}", RegexError::RepeatCount),
            ("[z-a]", RegexError::ClassRange),
            ("\\pX", RegexError::ClassRange),
            ("[[:foo:]]", RegexError::ClassRange),
            ("\\", RegexError::TrailingBackslash),
            ("a)", RegexError::Unbalanced),
        ] {
            assert_eq!(compile(pattern).err(), Some(error), "{pattern}");
        }
    }

    #[test]
    fn whole_names_are_matched_as_re2_does() {
        for (pattern, matches, others) in [
            ("orders.*", &["orders", "orders-eu"][..], &["my-orders"][..]),
            ("a|b", &["a", "b"], &["ab", "xa"]),
            ("(?i)ABC", &["abc", "aBc"], &["abcd"]),
            ("\\Qa.b\\E+", &["a.b", "a.bb"], &["axb"]),
            ("[a&&b]", &["a", "&", "b"], &["a&"]),
            ("[\\d-z]+", &["7-z"], &["a"]),
            ("[]a]", &["a"], &["b"]),
            ("a{2", &["a{2"], &["aa"]),
            ("a{,2}", &["a{,2}"], &["a"]),
            ("\\141\\x62\\x{63}", &["abc"], &["a"]),
            ("(?P<x>t)(?<y>.)", &["t1"], &["t"]),
            ("[[:alpha:]_.-]+", &["a_b-c.d"], &["1"]),
            ("[^a-c]\\d\\D\\w\\W", &["d1xA-"], &["a1xA-"]),
            ("t(?:_\\d+)?$", &["t", "t_12"], &["t_"]),
            ("(|a)*", &["", "aaa"], &["b"]),
            ("\\_x", &["_x"], &["x"]),
            ("(?)a", &["a"], &["b"]),
        ] {
            let regex = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            matches
                .iter()
                .for_each(|name| assert!(regex.is_match(name), "{pattern} {name}"));
            others
                .iter()
                .for_each(|name| assert!(!regex.is_match(name), "{pattern} {name}"));
        }
    }
}
