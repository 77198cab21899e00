//! Reads one definition file: the notation that `src/lib.rs` explains, into plain data.

/// An inclusive range of versions; `None` is no version at all. `5+` ends at [`i16::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions(pub Option<(i16, i16)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Request,
    Response,
    Header,
    Data,
    Metadata,
    CoordinatorKey,
    CoordinatorValue,
}

#[derive(Debug)]
pub struct Definition {
    pub kind: Kind,
    pub name: String,
    pub key: Option<i16>,
    pub listeners: Vec<String>,
    pub versions: Versions,
    pub flexible: Versions,
    pub latest_unstable: bool,
    pub strings_borrowed: bool,
    pub fields: Vec<Field>,
    pub structs: Vec<(String, Vec<Field>)>,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    /// The type without `[]`: a primitive in lower case or the name of a struct.
    pub base: String,
    pub array: bool,
    pub versions: Versions,
    pub nullable: Versions,
    pub tag: Option<(u32, Versions)>,
    /// Where the field's own encoding differs from its message's.
    pub flexible: Option<Versions>,
    pub default: Option<String>,
    pub ignorable: bool,
    pub fields: Option<Vec<Field>>,
}

impl Versions {
    pub const NONE: Versions = Versions(None);

    pub fn parse(text: &str) -> Result<Versions, String> {
        let number = |s: &str| {
            s.parse::<i16>()
                .map_err(|_| format!("bad versions {text:?}"))
        };
        if text == "none" {
            Ok(Versions::NONE)
        } else if let Some(low) = text.strip_suffix('+') {
            Ok(Versions(Some((number(low)?, i16::MAX))))
        } else if let Some((low, high)) = text.split_once('-') {
            Ok(Versions(Some((number(low)?, number(high)?))))
        } else {
            Ok(Versions(Some((number(text)?, number(text)?))))
        }
    }

    pub fn intersect(self, other: Versions) -> Versions {
        let (Some((a, b)), Some((c, d))) = (self.0, other.0) else {
            return Versions::NONE;
        };
        let (low, high) = (a.max(c), b.min(d));
        Versions((low <= high).then_some((low, high)))
    }

    pub fn is_none(self) -> bool {
        self.0.is_none()
    }

    pub fn covers(self, other: Versions) -> bool {
        self.intersect(other) == other
    }
}

/// Parses a whole file; an error names the line.
pub fn parse(text: &str) -> Result<Definition, String> {
    let mut lines = Lines {
        lines: text.lines().enumerate(),
        number: 0,
    };
    let definition = lines.definition();
    definition.map_err(|why| format!("line {}: {why}", lines.number))
}

struct Lines<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next line that is not blank, trimmed.
    fn next(&mut self) -> Option<&'a str> {
        for (index, line) in self.lines.by_ref() {
            self.number = index + 1;
            if !line.trim().is_empty() {
                return Some(line.trim());
            }
        }
        None
    }

    fn definition(&mut self) -> Result<Definition, String> {
        let first = self.next().ok_or("empty definition")?;
        let (kind, name) = first.split_once(' ').ok_or("expected a kind and a name")?;
        let mut definition = Definition {
            kind: kind_of(kind)?,
            name: name.to_owned(),
            key: None,
            listeners: Vec::new(),
            versions: Versions::NONE,
            flexible: Versions::NONE,
            latest_unstable: false,
            strings_borrowed: false,
            fields: Vec::new(),
            structs: Vec::new(),
        };
        while let Some(line) = self.next() {
            if let Some(rest) = line.strip_prefix("struct ") {
                let name = rest
                    .split_whitespace()
                    .next()
                    .ok_or("a struct needs a name")?;
                definition.structs.push((name.to_owned(), self.fields()?));
            } else if line
                .split_whitespace()
                .next()
                .is_some_and(|word| word.ends_with(':'))
            {
                let field = self.field(line)?;
                definition.fields.push(field);
            } else {
                header_line(&mut definition, line)?;
            }
        }
        Ok(definition)
    }

    /// The fields up to the closing brace.
    fn fields(&mut self) -> Result<Vec<Field>, String> {
        let mut fields = Vec::new();
        loop {
            match self.next().ok_or("missing }")? {
                "}" => return Ok(fields),
                line => fields.push(self.field(line)?),
            }
        }
    }

    fn field(&mut self, line: &str) -> Result<Field, String> {
        let (line, open) = match line.strip_suffix('{') {
            Some(line) => (line, true),
            None => (line, false),
        };
        let mut words = line.split_whitespace();
        let mut word = |what: &str| words.next().ok_or(format!("expected {what} in {line:?}"));
        let name = word("a name")?.trim_end_matches(':').to_owned();
        let kind = word("a type")?;
        let versions = Versions::parse(word("versions")?)?;
        let (kind, everywhere_nullable) = match kind.strip_suffix('?') {
            Some(kind) => (kind, true),
            None => (kind, false),
        };
        let array = kind.starts_with("[]");
        let mut field = Field {
            name,
            base: kind.trim_start_matches("[]").to_owned(),
            array,
            versions,
            nullable: if everywhere_nullable {
                versions
            } else {
                Versions::NONE
            },
            tag: None,
            flexible: None,
            default: None,
            ignorable: false,
            fields: None,
        };
        while let Some(attribute) = words.next() {
            let mut value = || words.next().ok_or(format!("{attribute} needs a value"));
            match attribute {
                "null" => field.nullable = Versions::parse(value()?)?,
                "flexible" => field.flexible = Some(Versions::parse(value()?)?),
                "=" => field.default = Some(value()?.to_owned()),
                "ignorable" => field.ignorable = true,
                "tag" => {
                    let number = value()?.parse().map_err(|_| "bad tag".to_owned())?;
                    field.tag = Some((number, versions));
                }
                "in" => {
                    let tagged = Versions::parse(value()?)?;
                    let (_, old) = field.tag.as_mut().ok_or("in needs a tag before it")?;
                    *old = tagged;
                }
                other => return Err(format!("unknown attribute {other:?}")),
            }
        }
        if open {
            field.fields = Some(self.fields()?);
        }
        Ok(field)
    }
}

fn header_line(definition: &mut Definition, line: &str) -> Result<(), String> {
    match line
        .split_once(' ')
        .ok_or(format!("unknown line {line:?}"))?
    {
        ("key", key) => definition.key = Some(key.parse().map_err(|_| "bad key".to_owned())?),
        ("listeners", names) => {
            definition.listeners = names.split_whitespace().map(str::to_owned).collect();
        }
        ("versions", versions) => definition.versions = Versions::parse(versions)?,
        ("flexible", versions) => definition.flexible = Versions::parse(versions)?,
        ("latest", "unstable") => definition.latest_unstable = true,
        ("strings", "borrowed") => definition.strings_borrowed = true,
        _ => return Err(format!("unknown line {line:?}")),
    }
    Ok(())
}

fn kind_of(word: &str) -> Result<Kind, String> {
    Ok(match word {
        "request" => Kind::Request,
        "response" => Kind::Response,
        "header" => Kind::Header,
        "data" => Kind::Data,
        "metadata" => Kind::Metadata,
        "coordinator-key" => Kind::CoordinatorKey,
        "coordinator-value" => Kind::CoordinatorValue,
        _ => return Err(format!("unknown kind {word:?}")),
    })
}
