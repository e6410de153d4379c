//! HCL to Cedar: a policy as a document that says the same of every token with this one policy.
//!
//! In HCL one rule decides over a path, the one of highest priority; in Cedar every statement counts.
//! So each rule becomes a statement that leaves out what rules of higher priority take from it. Paths
//! are compared with `resource.path`, which is the path that HCL sees. LIST and SCAN look a path up
//! without its last slash, too, and have statements of their own.
//!
//! What is made is held against the policy on generated requests (see [`proof`]) before it is handed
//! out. What cannot be said in Cedar is named: [`translate`] then hands out nothing, and [`translate_rest`]
//! all else, which permits nothing where a rule that was left out may decide. Where that takes too many
//! words, the places are taken together with what is between them, which is told, too.
//!
//! An action of an engine's own (`generate`, `sign`…) is no verb: a rule for the verb permits it in HCL,
//! and a statement for the verb does not in Cedar.

mod area;
mod matcher;
mod proof;

use super::{CedarError, CedarProblem, Document};
use crate::{Capability, CapabilitySet, Policy, PolicyError, Rule};
use area::{Area, Areas};
use matcher::{Kind, Matcher};
use secretum_hcl::Position;
use std::fmt::Write as _;

/// The most characters of a path that a comment shows.
const SHOWN_CHARS_MAX: usize = 120;

/// A policy in Cedar.
#[derive(Debug, Clone)]
pub struct Translation {
    /// The document.
    pub text: String,
    /// On how many requests it was held against the policy.
    pub requests: usize,
    /// What Cedar cannot say, and is left out.
    pub left_out: Vec<Unsayable>,
}

/// Why a policy was not translated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// The text is no policy.
    #[error("failed to parse policy: {0}")]
    Hcl(#[from] PolicyError),
    /// Cedar cannot say this.
    #[error("{}", listed(.0))]
    Unsayable(Vec<Unsayable>),
    /// What came out is too long, or too much.
    #[error("the policy is too long for one Cedar document: {0}")]
    Cedar(#[from] CedarError),
    /// What came out does not say the same.
    #[error("the translation differs on `{operation} {path}` and is not handed out")]
    Differs {
        /// The operation.
        operation: &'static str,
        /// The path.
        path: String,
    },
}

/// A rule that Cedar cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsayable {
    /// Where it stands.
    pub at: Position,
    /// Its path.
    pub path: String,
    /// Why not.
    pub why: &'static str,
}

fn listed(all: &[Unsayable]) -> String {
    let lines = all.iter().map(|one| {
        let Unsayable { at, path, why } = one;
        format!(
            "line {}, column {}: the rule of `{path}`: {why}",
            at.line, at.column
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The policy of this name, in Cedar.
///
/// **Errors**: [`TranslateError`].
pub fn translate(name: &str, hcl: &str) -> Result<Translation, TranslateError> {
    let made = translate_rest(name, hcl)?;
    if made.left_out.is_empty() {
        return Ok(made);
    }
    Err(TranslateError::Unsayable(made.left_out))
}

/// As [`translate`], without the rules that Cedar cannot say: they are named in comments, and where they
/// may decide nothing is permitted.
///
/// **Errors**: [`TranslateError`]; [`TranslateError::Unsayable`] where nothing is left, or what would be
/// left out denies.
pub fn translate_rest(name: &str, hcl: &str) -> Result<Translation, TranslateError> {
    let policy = Policy::parse(name, hcl)?;
    let (mut rules, mut left_out, mut areas) = (Vec::new(), Vec::new(), Vec::new());
    // A denial that is left out would let through what other policies of a token grant.
    let mut denies = false;
    for rule in policy.rules() {
        match unsayable(rule, policy.rules()) {
            None => rules.push(rule.clone()),
            Some(unsayable) => {
                left_out.push(unsayable);
                denies |= rule.capabilities.denies();
                areas.push(Area::of(rule));
            }
        }
    }
    let areas: Option<Vec<Area>> = areas.into_iter().collect();
    let is_useful = left_out.is_empty() || !rules.is_empty() && !denies;
    let Some(areas) = areas.filter(|_| is_useful) else {
        return Err(TranslateError::Unsayable(left_out));
    };
    let (text, document, areas) = written(name, &rules, &left_out, &Areas::new(areas))?;
    let requests = proof::compare(policy, document, &areas)?;
    Ok(Translation {
        text,
        requests,
        left_out,
    })
}

/// The document of these rules, and where it permits nothing: in the areas, and around them where it
/// would be too long otherwise.
fn written(
    name: &str,
    rules: &[Rule],
    left_out: &[Unsayable],
    needed: &Areas,
) -> Result<(String, Document, Areas), TranslateError> {
    let mut areas = needed.clone();
    loop {
        let mut text = comments(left_out, areas.besides(needed));
        text.push_str(&rest(name, rules, &areas));
        let error = match Document::read(name, &text) {
            Ok(document) => return Ok((text, document, areas)),
            Err(error) => error,
        };
        let is_long = matches!(
            error.problem,
            CedarProblem::StatementTooLong | CedarProblem::TextTooLong
        );
        match areas.widened().filter(|_| is_long) {
            Some(wider) => areas = wider,
            None => return Err(error.into()),
        }
    }
}

/// What is said of the rules that are left out, and of other paths where nothing is permitted.
fn comments<'a>(left_out: &[Unsayable], wide: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut reasons: Vec<&str> = Vec::new();
    for unsayable in left_out {
        if !reasons.contains(&unsayable.why) {
            reasons.push(unsayable.why);
        }
    }
    // Writing to a string does not fail.
    for why in reasons {
        let _ = writeln!(text, "// Left out: {why}");
        for Unsayable { at, path, .. } in left_out.iter().filter(|one| one.why == why) {
            let (path, line, column) = (shown(path), at.line, at.column);
            let _ = writeln!(
                text,
                "//   line {line}, column {column}: the rule of `{path}`"
            );
        }
    }
    for start in wide {
        let start = shown(start);
        let _ = writeln!(
            text,
            "// To be short, nothing is permitted at all paths that begin with `{start}`"
        );
    }
    text
}

/// A path in a comment. It may hold anything, and stays on its line.
fn shown(path: &str) -> String {
    let mut chars = path.chars().filter(|c| !c.is_control());
    let mut shown: String = chars.by_ref().take(SHOWN_CHARS_MAX).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The statements of these rules, which permit nothing in the areas.
fn rest(name: &str, rules: &[Rule], areas: &Areas) -> String {
    let mut text = String::new();
    for kind in [Kind::Plain, Kind::Folder] {
        let matchers = matcher::ordered(rules, kind);
        for (at, matcher) in matchers.iter().enumerate() {
            let before = matchers.get(..at).unwrap_or_default();
            let place = Place { name, kind, areas };
            text.push_str(&statements(&place, matcher, before));
        }
    }
    if text.is_empty() {
        let nobody = "// This policy grants and denies nothing; a document must have a statement.\n\
                      permit (principal, action, resource)\nwhen { false };\n";
        text.push_str(nobody);
    }
    text
}

/// Why a rule cannot be said.
fn unsayable(rule: &Rule, all: &[Rule]) -> Option<Unsayable> {
    let same = all.iter().filter(|other| other.pattern == rule.pattern);
    let (ends, twins) = same.fold((false, 0), |(ends, count), other| {
        (ends || other.expiration.is_some(), count + 1)
    });
    let parameters = &rule.parameters;
    let why = match &rule.pattern {
        None => {
            "a template is filled for each caller; write a statement that compares with \
                 `principal` instead"
        }
        Some(pattern) if pattern.has_wildcards() && pattern.is_glob() => {
            "no wildcard of Cedar ends at a slash, so `+` can't stand before a final `*`"
        }
        // It denies whatever else it says.
        _ if rule.capabilities.denies() && !(ends && twins > 1) => return None,
        _ if !parameters.allowed.is_empty()
            || !parameters.denied.is_empty()
            || !parameters.required.is_empty() =>
        {
            "rules over parameters ignore capitals and speak of all parameters; write a statement with \
             `context.parameters` instead"
        }
        _ if !rule.mfa_methods.is_empty() => {
            "`mfa_methods` names methods; write a statement with `context.mfa` instead"
        }
        _ if rule.pagination_limit.is_some_and(|limit| limit > 0) => "Cedar has no limit of pages",
        _ if ends && twins > 1 => "rules of one path end at different times",
        Some(_) => return None,
    };
    Some(Unsayable {
        at: rule.at,
        path: rule.path.to_string(),
        why,
    })
}

/// The actions of a kind of request that have a capability of their own name.
fn verbs(kind: Kind) -> &'static [Capability] {
    match kind {
        Kind::Plain => &[
            Capability::Create,
            Capability::Read,
            Capability::Update,
            Capability::Patch,
            Capability::Delete,
        ],
        Kind::Folder => &[Capability::List, Capability::Scan],
    }
}

/// What all statements of a kind of request have in common.
struct Place<'p> {
    name: &'p str,
    kind: Kind,
    areas: &'p Areas,
}

/// What a rule says of a kind of request.
fn statements(place: &Place<'_>, matcher: &Matcher, before: &[Matcher]) -> String {
    let Place { name, kind, areas } = *place;
    let mut text = String::new();
    if matcher.capabilities.denies() {
        // Actions of an engine's own are denied, too, so it is said which are not meant.
        let folder = "action in [Action::\"list\", Action::\"scan\"]";
        let actions = match kind {
            Kind::Plain => format!("!({folder})"),
            Kind::Folder => folder.to_owned(),
        };
        let kept = matcher.less(before, |other| other.capabilities.denies());
        let conditions = [vec![actions], kept].concat();
        write_statement(&mut text, ("forbid", name, "action"), matcher, &conditions);
        return text;
    }
    let Some(outside) = areas.conditions(matcher, kind) else {
        return text;
    };
    let granted: CapabilitySet = verbs(kind)
        .iter()
        .copied()
        .filter(|verb| matcher.capabilities.contains(*verb))
        .collect();
    if !granted.is_empty() {
        let kept = matcher.less(before, |other| other.gives(granted));
        let conditions = [kept, matcher.wrapping(), outside.clone()].concat();
        write_statement(
            &mut text,
            ("permit", name, &head(granted)),
            matcher,
            &conditions,
        );
    }
    let sudo = CapabilitySet::NONE.with(Capability::Sudo);
    if matcher.capabilities.contains(Capability::Sudo) {
        let mut conditions = matcher.less(before, |other| other.has_sudo());
        // `sudo` is asked for beside either kind of request: the path tells which rules look at it.
        conditions.push(match kind {
            Kind::Plain => "!(resource.path like \"*/\")".to_owned(),
            Kind::Folder => "resource.path like \"*/\"".to_owned(),
        });
        conditions.extend(outside);
        write_statement(
            &mut text,
            ("permit", name, &head(sudo)),
            matcher,
            &conditions,
        );
    }
    text
}

/// The part of a head that names actions.
fn head(actions: CapabilitySet) -> String {
    let names: Vec<String> = actions
        .iter()
        .map(|action| format!("Action::\"{}\"", action.name()))
        .collect();
    match names.as_slice() {
        [one] => format!("action == {one}"),
        several => format!("action in [{}]", several.join(", ")),
    }
}

fn write_statement(
    text: &mut String,
    (effect, name, action): (&str, &str, &str),
    matcher: &Matcher,
    conditions: &[String],
) {
    let resource = matcher.first_segment().map_or_else(
        || "resource".to_owned(),
        |segment| format!("resource in Secret::{segment:?}"),
    );
    let conditions = conditions.join(" &&\n  ");
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{effect} (\n  principal in Role::{name:?},\n  {action},\n  {resource}\n)\nwhen\n{{\n  {conditions}\n}};"
    );
}
