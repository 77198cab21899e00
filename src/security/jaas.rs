//! `sasl.jaas.config`: a login module with its options, in the syntax of Java's login
//! configuration files.
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use thiserror::Error;

/// `MODULE FLAG key="value" … ;`
#[derive(Clone, PartialEq, Eq)]
pub struct LoginModule {
    /// The class, with its package.
    pub class: String,
    pub options: BTreeMap<String, String>,
}

/// What is wrong with a login configuration. Values are never quoted: they are passwords.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum JaasError {
    #[error("JAAS config property does not contain any login modules")]
    Empty,
    #[error("JAAS config property contains {0} login modules, should be 1 module")]
    Several(usize),
    #[error("Login module control flag not specified in JAAS config")]
    NoFlag,
    #[error("Invalid control flag '{0}' in JAAS config")]
    BadFlag(String),
    #[error("JAAS config entry not terminated by semi-colon")]
    NoSemicolon,
    #[error("Value not specified for key '{0}' in JAAS config")]
    NoValue(String),
    #[error("A quoted value does not end in JAAS config")]
    NoQuote,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Equals,
    Semicolon,
}

impl LoginModule {
    /// Reads the one login module that a client has.
    pub fn parse(text: &str) -> Result<Self, JaasError> {
        let tokens = tokens(text)?;
        let mut rest = tokens.into_iter().peekable();
        let mut modules = Vec::new();
        while let Some(first) = rest.next() {
            let Token::Word(class) = first else {
                return Err(JaasError::NoFlag);
            };
            let Some(Token::Word(flag)) = rest.next() else {
                return Err(JaasError::NoFlag);
            };
            let known = ["required", "requisite", "sufficient", "optional"];
            if !known.contains(&flag.to_lowercase().as_str()) {
                return Err(JaasError::BadFlag(flag));
            }
            let mut options = BTreeMap::new();
            loop {
                match rest.next() {
                    Some(Token::Semicolon) => break,
                    Some(Token::Word(key)) => {
                        let equals = rest.next() == Some(Token::Equals);
                        let value = rest.next_if(|token| matches!(token, Token::Word(_)));
                        let Some(Token::Word(value)) = value.filter(|_| equals) else {
                            return Err(JaasError::NoValue(key));
                        };
                        options.insert(key, value);
                    }
                    _ => return Err(JaasError::NoSemicolon),
                }
            }
            modules.push(LoginModule { class, options });
        }
        match modules.len() {
            0 => Err(JaasError::Empty),
            1 => modules.pop().ok_or(JaasError::Empty),
            several => Err(JaasError::Several(several)),
        }
    }

    /// The class without its package.
    pub fn name(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or_default()
    }

    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, JaasError> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ';' => tokens.push(Token::Semicolon),
            '=' => tokens.push(Token::Equals),
            '"' | '\'' => tokens.push(Token::Word(quoted(&mut rest, c)?)),
            '/' if rest.peek() == Some(&'/') => {
                rest.by_ref().find(|c| *c == '\n');
            }
            '/' if rest.peek() == Some(&'*') => {
                let mut before = ' ';
                rest.by_ref()
                    .find(|c| std::mem::replace(&mut before, *c) == '*' && *c == '/');
            }
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                let ends = |c: &char| c.is_whitespace() || ";=\"'".contains(*c);
                while let Some(c) = rest.next_if(|c| !ends(c)) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// The text up to the closing quote, with Java's escapes.
fn quoted(rest: &mut Peekable<Chars<'_>>, quote: char) -> Result<String, JaasError> {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        match c {
            c if c == quote => return Ok(text),
            '\\' => match rest.next().ok_or(JaasError::NoQuote)? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                'a' => text.push('\u{7}'),
                'v' => text.push('\u{b}'),
                digit @ '0'..='7' => text.push(octal(rest, digit)),
                other => text.push(other),
            },
            c => text.push(c),
        }
    }
    Err(JaasError::NoQuote)
}

/// Up to three octal digits, the first of three being at most 3.
fn octal(rest: &mut Peekable<Chars<'_>>, first: char) -> char {
    let mut value = first.to_digit(8).unwrap_or_default();
    let more = if value <= 3 { 2 } else { 1 };
    for _ in 0..more {
        let Some(digit) = rest.next_if(|c| c.is_digit(8)) else {
            break;
        };
        value = value * 8 + digit.to_digit(8).unwrap_or_default();
    }
    char::from_u32(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(text: &str) -> String {
        let text = format!("a.b.PlainLoginModule required key={text};");
        LoginModule::parse(&text)
            .unwrap()
            .option("key")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_module_has_a_class_a_flag_and_options() {
        let text = "org.apache.kafka.common.security.plain.PlainLoginModule required \n \
                    // who\n username=\"alice\" /* what */ password='s;e=c\"r\\'et' ;";
        let module = LoginModule::parse(text).unwrap();
        assert_eq!(module.name(), "PlainLoginModule");
        assert_eq!(module.option("username"), Some("alice"));
        assert_eq!(module.option("password"), Some("s;e=c\"r'et"));
    }

    #[test]
    fn escapes_are_javas() {
        assert_eq!(option("\"a\\tb\\\\c\\101\\0\""), "a\tb\\cA\0");
        assert_eq!(option("\"\\400\""), " 0");
        assert_eq!(option("word-1_$"), "word-1_$");
    }

    #[test]
    fn mistakes_are_named_without_their_values() {
        for (text, want) in [
            ("", JaasError::Empty),
            ("a.B", JaasError::NoFlag),
            ("a.B perhaps;", JaasError::BadFlag("perhaps".into())),
            ("a.B required x=\"1\"", JaasError::NoSemicolon),
            ("a.B required x=;", JaasError::NoValue("x".into())),
            ("a.B required x \"1\";", JaasError::NoValue("x".into())),
            ("a.B required x=\"1;", JaasError::NoQuote),
            ("a.B required; c.D required;", JaasError::Several(2)),
        ] {
            assert_eq!(LoginModule::parse(text).err(), Some(want), "{text}");
        }
    }
}
