//! Values for schemas, from a seed: mostly what fits, and sometimes what does not.

use serde_json::{Map, Value, json};

/// A generator of numbers that gives the same for the same seed (SplitMix64).
pub(super) struct Dice(u64);

/// The deepest value.
const DEPTH_MAX: usize = 4;

/// Texts that mean something somewhere. No name of an audit device's kind is among them: such a device
/// would write files where it is told to.
const WORDS: &[&str] = &[
    "a",
    "root",
    "default",
    "dev",
    "secret",
    "secret/",
    "kv1",
    "kv1/a",
    "auth/token",
    "sys",
    "kv",
    "kv-v2",
    "token",
    "batch",
    "service",
    "true",
    "false",
    "1",
    "0",
    "-1",
    "30s",
    "1h",
    "768h",
    "hex",
    "base64",
    "sha2-256",
    "all",
    "off",
    "on",
    "json",
    "prometheus",
    "update",
    "read",
    "2026-11-23",
    "2026-11-23T10:00:00Z",
    "10.0.0.0/8",
    "127.0.0.1",
    "*",
    "+",
    "secret/*",
    "secret/data/a",
    "path \"a\" { capabilities = [\"read\"] }",
    "permit(principal, action, resource);",
    "info",
    "YWJj",
    "X-Name",
    "https://a.example",
    "max",
    "mon",
    "unlimited",
    "sudo",
];

/// Texts that mean nothing, or too much.
const ODD: &[&str] = &[
    "",
    " ",
    "é",
    "\u{202e}x",
    "日本語",
    "🦀",
    "a b",
    "a%2fb",
    "%00",
    "\"",
    "\\",
    "'",
    "{{",
    "{{identity.entity.id}}",
    "${x}",
    "a,b,,c",
    "=",
    "a=b",
    "9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "NaN",
    "0x10",
    "99999999999999999999s",
    "-1s",
    "1.5h",
    "[]",
    "{}",
    "null",
    "hvs.x",
    "hvb.x",
    "s.x",
    "~",
    ":",
    "?",
    "#",
];

const NUMBERS: &[i128] = &[
    0,
    1,
    2,
    3,
    5,
    8,
    16,
    31,
    32,
    63,
    64,
    100,
    255,
    256,
    1_000,
    3_600,
    65_535,
    65_536,
    131_072,
    131_073,
    2_764_800,
    2_764_801,
    i32::MAX as i128,
    u32::MAX as i128,
    i64::MAX as i128,
    u64::MAX as i128,
    -1,
    -2,
    i64::MIN as i128,
];

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A number that a limit may stand at.
    pub(super) fn number(&mut self) -> u64 {
        u64::try_from(*self.pick(NUMBERS)).unwrap_or_default()
    }

    pub(super) fn shuffle<T>(&mut self, all: &mut [T]) {
        for index in (1..all.len()).rev() {
            let other = self.below(index + 1);
            all.swap(index, other);
        }
    }
}

/// Makes values of schemas.
pub(super) struct Generator<'a> {
    pub(super) dice: &'a mut Dice,
    /// What schemas refer to.
    pub(super) schemas: &'a Map<String, Value>,
}

impl Generator<'_> {
    /// What stands in the place of a capture, which may be more than one segment.
    pub(super) fn segment(&mut self) -> String {
        match self.dice.below(12) {
            0 => (*self.dice.pick(ODD)).to_owned(),
            1 => "x".repeat(*self.dice.pick(&[127, 128, 129, 512, 1_500, 3_000])),
            2 => format!("{}/{}", self.dice.pick(WORDS), self.dice.pick(WORDS)),
            3 => "é/".repeat(self.dice.below(300) + 1) + "x",
            _ => (*self.dice.pick(WORDS)).to_owned(),
        }
    }

    fn text(&mut self) -> String {
        match self.dice.below(10) {
            0 | 1 => (*self.dice.pick(ODD)).to_owned(),
            2 => "x".repeat(*self.dice.pick(&[127, 128, 129, 512, 4_097, 70_000])),
            3 => format!("{},{}", self.dice.pick(WORDS), self.dice.pick(ODD)),
            _ => (*self.dice.pick(WORDS)).to_owned(),
        }
    }

    /// Anything at all.
    pub(super) fn nonsense(&mut self) -> Value {
        match self.dice.below(9) {
            0 => Value::Null,
            1 => json!(true),
            2 => self.integer(),
            3 => json!(1.5e300),
            4 => json!([]),
            5 => json!({}),
            6 => json!([self.text(), {"a": [null]}]),
            7 => json!({self.text(): {self.text(): [self.text()]}}),
            _ => Value::String(self.text()),
        }
    }

    fn integer(&mut self) -> Value {
        let number = *self.dice.pick(NUMBERS);
        serde_json::from_str(&number.to_string()).unwrap()
    }

    /// A value of a schema, or now and then of none.
    pub(super) fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if self.dice.one_in(12) {
            return self.nonsense();
        }
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(name) = schema["$ref"].as_str() {
            let schemas = self.schemas;
            let named = &schemas[name.rsplit('/').next().unwrap()];
            return self.value(named, depth + 1);
        }
        if let Some(values) = schema["enum"].as_array() {
            return self.dice.pick(values).clone();
        }
        if !schema["const"].is_null() {
            return schema["const"].clone();
        }
        for forms in ["anyOf", "oneOf", "allOf"] {
            if let Some(forms) = schema[forms].as_array() {
                let form = self.dice.pick(forms).clone();
                return self.value(&form, depth + 1);
            }
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.dice.pick(kinds).clone(),
            kind => kind.clone(),
        };
        match kind.as_str() {
            Some("string") => Value::String(self.text()),
            Some("integer" | "number") => self.integer(),
            Some("boolean") => json!(self.dice.one_in(2)),
            Some("array") => {
                let items =
                    (0..self.dice.below(4)).map(|_| self.value(&schema["items"], depth + 1));
                items.collect()
            }
            Some("object") => self.object(schema, depth),
            Some("null") => Value::Null,
            _ => self.nonsense(),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = Map::new();
        let empty = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        for (name, property) in properties {
            if self.dice.one_in(2) {
                object.insert(name.clone(), self.value(property, depth + 1));
            }
        }
        if properties.is_empty() || self.dice.one_in(16) {
            for _ in 0..self.dice.below(4) {
                let value = self.value(&schema["additionalProperties"], depth + 1);
                object.insert(self.text(), value);
            }
        }
        Value::Object(object)
    }
}
