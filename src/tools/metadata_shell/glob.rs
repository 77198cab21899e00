//! Paths with `*`, `?`, `{a,b}` and `\`, and what they mean in the tree.
use regex::Regex;

use super::tree::Node;

/// A node that a path leads to.
pub struct Found<'i> {
    pub path: Vec<String>,
    pub node: Node<'i>,
}

impl Found<'_> {
    pub fn last_component(&self) -> &str {
        self.path.last().map_or("/", String::as_str)
    }

    pub fn absolute_path(&self) -> String {
        format!("/{}", self.path.join("/"))
    }
}

/// The nodes that the path stands for, by name.
pub fn find<'i>(root: Node<'i>, working_directory: &str, path: &str) -> Vec<Found<'i>> {
    let full = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{working_directory}/{path}"),
    };
    let mut components: Vec<&str> = Vec::new();
    for component in full.split('/').filter(|component| !component.is_empty()) {
        match component {
            "." => {}
            ".." => {
                components.pop();
            }
            other => components.push(other),
        }
    }
    let mut found = vec![Found {
        path: Vec::new(),
        node: root,
    }];
    for component in components {
        let matches = Component::new(component);
        found = found
            .into_iter()
            .flat_map(|from| matches.step(&from))
            .collect();
    }
    found
}

enum Component {
    Literal(String),
    Pattern(Regex),
}

impl Component {
    /// What makes no sense as a pattern is a name.
    fn new(text: &str) -> Self {
        match regular_expression(text).and_then(|pattern| Regex::new(&pattern).ok()) {
            Some(pattern) => Self::Pattern(pattern),
            None => Self::Literal(text.to_owned()),
        }
    }

    fn step<'i>(&self, from: &Found<'i>) -> Vec<Found<'i>> {
        let found = |name: String, node| {
            let mut path = from.path.clone();
            path.push(name);
            Found { path, node }
        };
        match self {
            Self::Literal(name) => {
                let child = from.node.child(name);
                child
                    .map(|node| found(name.clone(), node))
                    .into_iter()
                    .collect()
            }
            Self::Pattern(pattern) => {
                let children = from.node.children().into_iter();
                let matching = children.filter(|(name, _)| pattern.is_match(name));
                matching.map(|(name, node)| found(name, node)).collect()
            }
        }
    }
}

/// `None` for what has nothing special in it, and for what cannot be read.
fn regular_expression(glob: &str) -> Option<String> {
    let mut pattern = String::from("^");
    let (mut literal, mut group) = (true, false);
    let mut letters = glob.chars();
    while let Some(letter) = letters.next() {
        let special = match letter {
            '?' => ".",
            '*' => ".*",
            '{' if group => return None,
            '{' => {
                group = true;
                "(?:(?:"
            }
            ',' if group => ")|(?:",
            '}' if group => {
                group = false;
                "))"
            }
            plain => {
                let plain = match plain {
                    '\\' => letters.next().unwrap_or('\\'),
                    other => other,
                };
                pattern.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4])));
                continue;
            }
        };
        literal = false;
        pattern.push_str(special);
    }
    pattern.push('$');
    (!literal && !group).then_some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (glob, name, matches) in [
            ("pl*", "plain", true),
            ("pl*", "xplain", false),
            ("p?ain", "plain", true),
            ("{a,b.c}d", "b.cd", true),
            ("{a,b.c}d", "bxcd", false),
            ("a.*", "ab", false),
            ("\\**", "*x", true),
        ] {
            let pattern = Regex::new(&regular_expression(glob).unwrap()).unwrap();
            assert_eq!(pattern.is_match(name), matches, "{glob} {name}");
        }
        for literal in ["plain", "a.b", "a,b", "a}", "{a", "{{a}}", "a\\*"] {
            assert_eq!(regular_expression(literal), None, "{literal}");
        }
    }
}
