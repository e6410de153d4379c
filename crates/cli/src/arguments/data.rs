//! Data as arguments: `key=value`, `key=@file`, `key=-`, `@file.json` and `-`.

use crate::failure::Failure;
use secretum_client::{Json, Object};
use std::io::Read;
use std::path::Path;

/// The largest file, or standard input, that is sent.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Reads data from arguments. `-` is JSON from standard input and `@file` JSON from a file; in
/// `key=-` and `key=@file` they are the text of one value. A backslash before an at sign makes it
/// one. A key that is given more than once becomes a list.
///
/// **Errors**: which argument cannot be read, and why; never its value.
pub(crate) fn read(arguments: &[String], stdin: &mut dyn Read) -> Result<Object, Failure> {
    let mut reader = Reader {
        stdin: Some(stdin),
        data: Object::new(),
        given: Vec::new(),
    };
    for argument in arguments {
        reader.take(argument).map_err(|reason| {
            Failure::local(format!(
                "Failed to parse K=V data: `{}`: {reason}",
                shown(argument)
            ))
        })?;
    }
    Ok(reader.data)
}

struct Reader<'a> {
    stdin: Option<&'a mut dyn Read>,
    data: Object,
    /// Keys that stood in arguments of their own.
    given: Vec<String>,
}

impl Reader<'_> {
    fn take(&mut self, argument: &str) -> Result<(), String> {
        if argument == "-" {
            let text = self.standard_input()?;
            return self.merge(&text);
        }
        if let Some(path) = argument.strip_prefix('@') {
            return self.merge(&file(path)?);
        }
        let Some((key, value)) = argument.split_once('=') else {
            return Err("write it as key=value".to_owned());
        };
        if key.is_empty() {
            return Err("the key is empty".to_owned());
        }
        let value = match value {
            "-" => self.standard_input()?,
            _ => match value.strip_prefix('@') {
                Some(path) => file(path)?,
                None if value.starts_with("\\@") => value.chars().skip(1).collect(),
                None => value.to_owned(),
            },
        };
        self.set(key, value);
        Ok(())
    }

    fn set(&mut self, key: &str, value: String) {
        let repeated = self.given.iter().any(|given| given == key);
        match self.data.get_mut(key) {
            Some(Json::Array(values)) if repeated => values.push(value.into()),
            Some(earlier) if repeated => {
                let first = std::mem::take(earlier);
                *earlier = Json::Array(vec![first, value.into()]);
            }
            _ => {
                self.data.insert(key, value);
                self.given.push(key.to_owned());
            }
        }
    }

    fn merge(&mut self, text: &str) -> Result<(), String> {
        if text.trim().is_empty() {
            return Err("there is nothing in it".to_owned());
        }
        // The place of a fault is told, what stands there is not.
        let json = Json::parse(text).map_err(|error| {
            format!("no JSON: line {}, column {}", error.line(), error.column())
        })?;
        let Json::Object(object) = json else {
            return Err("it must be a JSON object".to_owned());
        };
        for (key, value) in object.iter() {
            self.data.insert(key, value.clone());
        }
        Ok(())
    }

    fn standard_input(&mut self) -> Result<String, String> {
        let stdin = self.stdin.take().ok_or("standard input was read already")?;
        text_of(stdin)
    }
}

fn file(path: &str) -> Result<String, String> {
    let file =
        std::fs::File::open(Path::new(path)).map_err(|error| format!("cannot open it: {error}"))?;
    text_of(file)
}

fn text_of(input: impl Read) -> Result<String, String> {
    let mut text = String::new();
    input
        .take(INPUT_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read it: {error}"))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(format!("it is larger than {INPUT_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// An argument without what may be secret in it.
fn shown(argument: &str) -> String {
    match argument.split_once('=') {
        Some((key, value)) if value.starts_with('@') => format!("{key}={value}"),
        Some((key, _)) => format!("{key}=…"),
        None if argument == "-" || argument.starts_with('@') => argument.to_owned(),
        None => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(arguments: &[&str], stdin: &str) -> Result<String, String> {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        match read(&arguments, &mut stdin.as_bytes()) {
            Ok(data) => Ok(Json::from(data).to_string()),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn pairs_are_texts() {
        assert_eq!(
            data(&["a=1", "b=x=y", "c=", "d=-1"], "").unwrap(),
            r#"{"a":"1","b":"x=y","c":"","d":"-1"}"#
        );
        assert_eq!(data(&[r"a=\@x"], "").unwrap(), r#"{"a":"@x"}"#);
        assert_eq!(
            data(&["a=1", "a=2", "a=3"], "").unwrap(),
            r#"{"a":["1","2","3"]}"#
        );
    }

    #[test]
    fn standard_input_is_a_value_or_all_of_it() {
        assert_eq!(data(&["a=-"], "text\n").unwrap(), r#"{"a":"text\n"}"#);
        assert_eq!(
            data(&["-", "b=2"], r#"{"a":9007199254740993,"b":1}"#).unwrap(),
            r#"{"a":9007199254740993,"b":"2"}"#
        );
        assert!(data(&["a=-", "b=-"], "x").unwrap_err().contains("already"));
    }

    #[test]
    fn files_are_a_value_or_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        std::fs::write(&path, "{\"k\":1.10}\n").unwrap();
        let path = path.display();
        assert_eq!(data(&[&format!("@{path}")], "").unwrap(), r#"{"k":1.10}"#);
        assert_eq!(
            data(&[&format!("a=@{path}")], "").unwrap(),
            r#"{"a":"{\"k\":1.10}\n"}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_without_its_value() {
        for (arguments, stdin, word) in [
            (&["hunter2"][..], "", "key=value"),
            (&["=hunter2"][..], "", "empty"),
            (&["a=@/no/such/file"][..], "", "/no/such/file"),
            (&["-"][..], "{\"hunter2\"", "line 1"),
            (&["-"][..], "[1]", "object"),
            (&["-"][..], "", "nothing"),
        ] {
            let text = data(arguments, stdin).unwrap_err();
            assert!(text.contains(word) && !text.contains("hunter2"), "{text}");
        }
    }
}
