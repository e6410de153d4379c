//! [`Document`]: a text to statements.

use super::statement::Statement;
use super::vocabulary::Vocabulary;
use super::{
    CedarError, CedarProblem, DEPTH_MAX, ID_BYTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX,
    TEXT_BYTES_MAX,
};
use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode};
use miette::Diagnostic;
use secretum_hcl::Position;
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

/// What is said of a problem that Cedar itself has no advice for.
const SCHEMA_HELP: &str = "a policy may speak of the entities, actions and attributes of the schema, which \
                           docs/development/cedar-secret-policies.md explains";

/// What is said of a text that is no Cedar.
const SYNTAX_HELP: &str =
    "a statement has the form `permit (principal, action, resource) when { … };`";

/// A document that was read.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) name: Arc<str>,
    pub(super) text_bytes: usize,
    pub(super) statements: Vec<Arc<Statement>>,
    /// Where they begin.
    places: Vec<Position>,
    warnings: Vec<String>,
}

impl Document {
    /// Reads a document and holds it against the schema, in Cedar's strict mode.
    ///
    /// **Errors**: [`CedarError`] with line and column.
    pub fn read(name: &str, text: &str) -> Result<Self, CedarError> {
        let (policies, places) = Self::policies(name, text)?;
        let warnings = validate(text, &policies)?;
        Self::of((name, text), &policies, places, warnings)
    }

    /// Reads a document that was taken before; what it speaks of is not looked at again.
    ///
    /// **Errors**: [`CedarError`] with line and column.
    pub fn read_stored(name: &str, text: &str) -> Result<Self, CedarError> {
        let (policies, places) = Self::policies(name, text)?;
        Self::of((name, text), &policies, places, Vec::new())
    }

    /// The ids of its statements, in the order they are written.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().map(|statement| &*statement.id)
    }

    /// What is odd about it though it can be taken, with line and column.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The place of a statement; the first of the document where it has none of that id.
    pub(super) fn place(&self, id: &str) -> Position {
        let at = self.ids().position(|own| own == id);
        let place = at.and_then(|at| self.places.get(at));
        place.copied().unwrap_or(Position::START)
    }

    fn of(
        (name, text): (&str, &str),
        policies: &[Policy],
        places: Vec<Position>,
        warnings: Vec<String>,
    ) -> Result<Self, CedarError> {
        let statement = |policy| Statement::new(policy).map(Arc::new);
        let statements: Result<Vec<_>, _> = policies.iter().map(statement).collect();
        Ok(Self {
            name: name.into(),
            text_bytes: text.len(),
            statements: statements.map_err(start)?,
            places,
            warnings,
        })
    }

    /// The statements in their order, with their ids, and where they begin.
    fn policies(name: &str, text: &str) -> Result<(Vec<Policy>, Vec<Position>), CedarError> {
        let places = scan(text)?;
        let set = PolicySet::from_str(text).map_err(|errors| syntax(text, &errors))?;
        let at = |statement: usize| places.get(statement).copied().unwrap_or(Position::START);
        let templates = set.templates().map(|template| number(template.id()));
        if let Some(first) = templates.min() {
            return Err(CedarError::new(at(first), CedarProblem::Template));
        }
        let mut policies: Vec<&Policy> = set.policies().collect();
        policies.sort_by_key(|policy| number(policy.id()));
        match policies.len() {
            0 => return Err(start(CedarProblem::Empty)),
            1..=STATEMENTS_MAX => {}
            _ => return Err(start(CedarProblem::TooManyStatements)),
        }
        let mut known = HashSet::new();
        let mut named = Vec::with_capacity(policies.len());
        for (index, policy) in policies.into_iter().enumerate() {
            let id = match policy.annotation("id") {
                None => format!("{name}#{}", index + 1),
                Some(id) if fits(id) => id.to_owned(),
                Some(_) => return Err(CedarError::new(at(index), CedarProblem::Id)),
            };
            if !known.insert(id.clone()) {
                return Err(CedarError::new(at(index), CedarProblem::DuplicateId(id)));
            }
            named.push(policy.new_id(PolicyId::new(id)));
        }
        Ok((named, places))
    }
}

fn start(problem: CedarProblem) -> CedarError {
    CedarError::new(Position::START, problem)
}

/// The place of a statement, from the id that Cedar gives it.
fn number(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.strip_prefix("policy")
        .and_then(|number| number.parse().ok())
        .unwrap_or(usize::MAX)
}

fn fits(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && !id.chars().any(|c| c.is_control() || c == '#')
}

/// Holds statements against the schema, and gives what is odd about them.
fn validate(text: &str, policies: &[Policy]) -> Result<Vec<String>, CedarError> {
    let vocabulary = Vocabulary::get().map_err(start)?;
    let set = PolicySet::from_policies(policies.iter().cloned()).map_err(|error| {
        start(CedarProblem::Invalid {
            told: error.to_string(),
            help: SCHEMA_HELP.to_owned(),
        })
    })?;
    let found = vocabulary.validator.validate(&set, ValidationMode::Strict);
    // The first by place: Cedar looks at statements in no order.
    let first = found
        .validation_errors()
        .min_by_key(|error| (offset(*error), error.to_string()));
    if let Some(error) = first {
        return Err(CedarError::at(
            text,
            offset(error).unwrap_or_default(),
            CedarProblem::Invalid {
                told: error.to_string(),
                help: help(error, SCHEMA_HELP),
            },
        ));
    }
    let mut warnings: Vec<_> = found
        .validation_warnings()
        .map(|warning| (offset(warning).unwrap_or_default(), warning.to_string()))
        .collect();
    warnings.sort();
    let told = warnings.into_iter().map(|(byte, told)| {
        let at = CedarError::at(text, byte, CedarProblem::Empty).at;
        format!("line {}, column {}: {told}", at.line, at.column)
    });
    Ok(told.collect())
}

fn syntax(text: &str, errors: &cedar_policy::ParseErrors) -> CedarError {
    let first = errors.iter().min_by_key(|error| offset(*error));
    let problem = CedarProblem::Syntax {
        told: first.map_or_else(|| errors.to_string(), ToString::to_string),
        help: first.map_or_else(|| SYNTAX_HELP.to_owned(), |first| help(first, SYNTAX_HELP)),
    };
    let place = first.and_then(|first| offset(first));
    CedarError::at(text, place.unwrap_or_default(), problem)
}

/// The byte where something shows.
fn offset(found: &dyn Diagnostic) -> Option<usize> {
    found.labels()?.map(|label| label.offset()).next()
}

/// What Cedar advises; what it expects at the place, where it says that; else a general advice.
fn help(found: &dyn Diagnostic, otherwise: &str) -> String {
    if let Some(help) = found.help() {
        return help.to_string();
    }
    let label = found.labels().and_then(|mut labels| labels.next());
    let expected = label.and_then(|label| label.label().map(str::to_owned));
    expected.unwrap_or_else(|| otherwise.to_owned())
}

/// Refuses what is too long or too deep, before anything that may go as deep looks at it, and gives the
/// places where statements begin.
fn scan(text: &str) -> Result<Vec<Position>, CedarError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(start(CedarProblem::TextTooLong));
    }
    let mut scan = Scan::default();
    let mut starts = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        let between = !scan.within_statement;
        if let Some(problem) = scan.step(byte) {
            return Err(CedarError::at(text, at, problem));
        }
        if between && scan.within_statement {
            starts.push(at);
        }
    }
    let (mut from, mut place) = (0, Position::START);
    let places = starts.into_iter().map(|at| {
        let passed = text.get(from..at).unwrap_or_default();
        place = passed.chars().fold(place, Position::advanced);
        from = at;
        place
    });
    Ok(places.collect())
}

/// Where in a text a scan is.
#[derive(Default)]
struct Scan {
    within: Within,
    depth: usize,
    ifs: usize,
    statement_bytes: usize,
    within_statement: bool,
    /// The last bytes of the word that is being read.
    word: Word,
}

#[derive(Default, PartialEq)]
enum Within {
    #[default]
    Code,
    /// A slash was read.
    Slash,
    Comment,
    Text {
        escaped: bool,
    },
}

#[derive(Default, PartialEq)]
enum Word {
    #[default]
    None,
    I,
    If,
    Other,
}

impl Scan {
    fn step(&mut self, byte: u8) -> Option<CedarProblem> {
        if self.within == Within::Comment {
            if byte == b'\n' {
                self.within = Within::Code;
            }
            return None;
        }
        self.statement_bytes += 1;
        if self.statement_bytes > STATEMENT_BYTES_MAX {
            return Some(CedarProblem::StatementTooLong);
        }
        match &mut self.within {
            Within::Text { escaped } => {
                match byte {
                    _ if *escaped => *escaped = false,
                    b'\\' => *escaped = true,
                    b'"' => self.within = Within::Code,
                    _ => {}
                }
                return None;
            }
            Within::Slash if byte == b'/' => {
                self.within = Within::Comment;
                return None;
            }
            Within::Slash | Within::Code | Within::Comment => {}
        }
        self.code(byte)
    }

    fn code(&mut self, byte: u8) -> Option<CedarProblem> {
        self.within = match byte {
            b'/' => Within::Slash,
            b'"' => Within::Text { escaped: false },
            _ => Within::Code,
        };
        self.read_word(byte);
        match byte {
            b'(' | b'[' | b'{' => self.depth += 1,
            b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b';' => (self.depth, self.ifs, self.statement_bytes) = (0, 0, 0),
            _ => {}
        }
        self.within_statement = match byte {
            b';' => false,
            byte => self.within_statement || !(byte.is_ascii_whitespace() || byte == b'/'),
        };
        (self.depth > DEPTH_MAX || self.ifs > DEPTH_MAX).then_some(CedarProblem::TooDeep)
    }

    fn read_word(&mut self, byte: u8) {
        let of_word = byte.is_ascii_alphanumeric() || byte == b'_';
        if !of_word && self.word == Word::If {
            self.ifs += 1;
        }
        self.word = match (&self.word, byte) {
            (_, _) if !of_word => Word::None,
            (Word::None, b'i') => Word::I,
            (Word::I, b'f') => Word::If,
            _ => Word::Other,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> CedarProblem {
        Document::read("d", text).unwrap_err().problem
    }

    /// A statement of so many bytes.
    fn statement(bytes: usize) -> String {
        let (start, end) = (
            "permit (principal, action, resource) when { \"",
            "\" == \"\" };",
        );
        let filler = "x".repeat(bytes - start.len() - end.len());
        format!("{start}{filler}{end}")
    }

    #[test]
    fn limits_hold_at_their_edge() {
        assert!(Document::read("d", &statement(STATEMENT_BYTES_MAX)).is_ok());
        let longer = statement(STATEMENT_BYTES_MAX + 1);
        assert_eq!(problem(&longer), CedarProblem::StatementTooLong);
        let short = "permit (principal, action, resource);";
        assert!(Document::read_stored("d", &short.repeat(STATEMENTS_MAX)).is_ok());
        let many = short.repeat(STATEMENTS_MAX + 1);
        assert_eq!(problem(&many), CedarProblem::TooManyStatements);
        let comments = "// c\n".repeat(TEXT_BYTES_MAX / 5 + 1);
        assert_eq!(problem(&comments), CedarProblem::TextTooLong);
    }

    #[test]
    fn depth_is_counted_outside_of_texts_and_comments() {
        let nested = |levels: usize| {
            // The braces of `when` are a level, too.
            let (open, close) = ("(".repeat(levels - 1), ")".repeat(levels - 1));
            format!("permit (principal, action, resource) when {{ {open}true{close} }};")
        };
        assert!(Document::read("d", &nested(DEPTH_MAX)).is_ok());
        assert_eq!(problem(&nested(DEPTH_MAX + 1)), CedarProblem::TooDeep);
        let brackets = "([{".repeat(DEPTH_MAX);
        let text = format!(
            "// {brackets}\npermit (principal, action, resource) when {{ \"{brackets}\\\"(\" == \"\" }};"
        );
        assert!(Document::read("d", &text).is_ok());
        let ifs = |count: usize| {
            let start = "if true then true else ".repeat(count);
            format!("permit (principal, action, resource) when {{ {start} \"if if\" == \"iff\" }};")
        };
        assert!(Document::read("d", &ifs(DEPTH_MAX)).is_ok());
        assert_eq!(problem(&ifs(DEPTH_MAX + 1)), CedarProblem::TooDeep);
        assert!(Document::read("d", &ifs(DEPTH_MAX).repeat(2)).is_ok());
    }

    #[test]
    fn the_longest_chains_fit_a_thread() {
        let chain = |item: &str| {
            let start = "permit (principal, action, resource) when { true";
            let count = (STATEMENT_BYTES_MAX - start.len() - 4) / item.len();
            format!("{start}{} }};", item.repeat(count))
        };
        let small = std::thread::Builder::new().stack_size(2 << 20);
        let run = move || {
            for item in ["&&true", "||true", "==true", "&&!!!!true", ".a", "||1<1"] {
                // Taken or refused, but neither the reader nor the one who forgets it falls.
                drop(Document::read("d", &chain(item)));
            }
        };
        small.spawn(run).unwrap().join().unwrap();
    }

    #[test]
    fn ids_are_those_written_or_made_of_the_name() {
        let text = "permit (principal, action, resource);
            @id(\"mine\") forbid (principal, action, resource);
            permit (principal, action, resource);";
        let document = Document::read("d", text).unwrap();
        assert_eq!(document.ids().collect::<Vec<_>>(), ["d#1", "mine", "d#3"]);
        for wrong in ["", "a#1", "a\\nb", &"x".repeat(ID_BYTES_MAX + 1)] {
            let text = format!("@id(\"{wrong}\") permit (principal, action, resource);");
            assert_eq!(problem(&text), CedarProblem::Id, "{wrong}");
        }
        let longest = "x".repeat(ID_BYTES_MAX);
        let text = format!("@id(\"{longest}\") permit (principal, action, resource);");
        assert!(Document::read("d", &text).is_ok());
        let twice = "@id(\"a\") permit (principal, action, resource);\n".repeat(2);
        let error = Document::read("d", &twice).unwrap_err();
        assert_eq!(error.problem, CedarProblem::DuplicateId("a".to_owned()));
        assert_eq!((error.at.line, error.at.column), (2, 1));
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        for (text, line, column, told) in [
            ("", 1, 1, "there is no statement"),
            ("// nothing", 1, 1, "there is no statement"),
            (
                "permit (principal, action);",
                1,
                26,
                "missing the `resource`",
            ),
            ("permit (principal, action, resource)", 1, 37, "expected"),
            ("\n  permit (who, action, resource);", 2, 11, "who"),
            (
                "permit (principal, action == Action::\"fly\", resource);",
                1,
                30,
                "unrecognized action `Action::\"fly\"`; did you mean",
            ),
            (
                "permit (principal in Team::\"a\", action, resource);",
                1,
                22,
                "unrecognized entity type `Team`",
            ),
            (
                "permit (principal, action, resource)\nwhen { context.tll < duration(\"1h\") };",
                2,
                8,
                "did you mean `ttl`?",
            ),
            (
                "permit (principal, action, resource) when { context.ttl < 5 };",
                1,
                45,
                "unexpected type",
            ),
            (
                "permit (principal, action, resource) when { context.parameters.getTag(\"a\") == \"\" };",
                1,
                45,
                "try testing for the tag's presence",
            ),
            (
                "// ?principal\n permit (principal == ?principal, action, resource);",
                2,
                2,
                "templates are not served",
            ),
        ] {
            let error = Document::read("d", text).unwrap_err();
            let shown = error.to_string();
            assert_eq!((error.at.line, error.at.column), (line, column), "{shown}");
            assert!(shown.contains(told), "{shown}");
            assert!(
                shown.contains("; ") || error.problem == CedarProblem::Empty,
                "{shown}"
            );
        }
    }

    #[test]
    fn what_is_odd_is_a_warning() {
        let text = "\npermit (principal, action == Action::\"read\", resource)
            when { resource.path == \"a\" && false };";
        let document = Document::read("d", text).unwrap();
        assert_eq!(document.warnings().len(), 1, "{:?}", document.warnings());
        assert!(document.warnings()[0].starts_with("line 2, column 1: "));
    }
}
