//! Completion in the start-up files of shells: put there once, and taken out without a trace.

use super::{Shell, script};
use crate::failure::Failure;
use crate::output::{console, curl::single_quoted};
use crate::persona::Persona;
use secretum_client::Environment;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Puts completion into the start-up files of the shells that are there.
pub(super) fn install(persona: Persona, environment: &Environment) -> Result<(), Failure> {
    let binary = std::env::current_exe()
        .map_err(|error| Failure::local(format!("cannot tell where this binary is: {error}")))?;
    let binary = single_quoted(&binary.display().to_string());
    let name = persona.name();
    for (shell, file) in files(name, environment)? {
        if shell == Shell::Fish {
            replace(&file, &script(shell, name, &binary))?;
        } else {
            let text = read(&file)?;
            let word = if shell == Shell::Bash { "bash" } else { "zsh" };
            let line = format!("eval \"$({binary} completion {word})\" {}", mark(name));
            let kept = without(&text, name);
            let gap = if kept.is_empty() || kept.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            let wanted = format!("{kept}{gap}{line}\n");
            if wanted != text {
                replace(&file, &wanted)?;
            }
        }
        console::line(&format!("completion is in {}", file.display()))?;
    }
    console::line("It begins to work in the next shell.")
}

/// Takes it out again.
pub(super) fn uninstall(persona: Persona, environment: &Environment) -> Result<(), Failure> {
    let name = persona.name();
    for (shell, file) in files(name, environment)? {
        if shell == Shell::Fish {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove", &file, &error));
                }
                _ => continue,
            }
        }
        let text = read(&file)?;
        let kept = without(&text, name);
        if kept != text {
            replace(&file, &kept)?;
        }
    }
    console::line("completion is taken out of the start-up files")
}

/// The files of the shells that are there; that of Bash, where none is.
fn files(name: &str, environment: &Environment) -> Result<Vec<(Shell, PathBuf)>, Failure> {
    let home = environment.plain("HOME").map(PathBuf::from);
    let home = home.ok_or_else(|| Failure::local("HOME is not set"))?;
    let (bash, zsh) = (home.join(".bashrc"), home.join(".zshrc"));
    let fish = home.join(".config/fish");
    let mut files = Vec::new();
    if zsh.exists() {
        files.push((Shell::Zsh, zsh));
    }
    if fish.is_dir() {
        files.push((Shell::Fish, fish.join(format!("completions/{name}.fish"))));
    }
    if bash.exists() || files.is_empty() {
        files.push((Shell::Bash, bash));
    }
    Ok(files)
}

/// What marks our line.
fn mark(name: &str) -> String {
    format!("# completion of {name}")
}

/// A start-up file without our line.
fn without(text: &str, name: &str) -> String {
    let mark = mark(name);
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| !line.trim_end().ends_with(&mark))
        .collect()
}

fn read(file: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed("read", file, &error)),
    }
}

/// Writes beside the file and renames: a start-up file is whole at every moment, and keeps its mode.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    let write = || {
        // A link stays one.
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut written = tempfile::NamedTempFile::new_in(folder)?;
        written.write_all(text.as_bytes())?;
        if let Ok(facts) = std::fs::metadata(&file) {
            written.as_file().set_permissions(facts.permissions())?;
        }
        written.as_file().sync_all()?;
        written.persist(&file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error: std::io::Error| failed("write", file, &error))
}

fn failed(doing: &str, file: &Path, error: &std::io::Error) -> Failure {
    Failure::local(format!("cannot {doing} `{}`: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_once_and_goes_without_a_trace() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment::of([("HOME", home.path().to_str().unwrap())]);
        let (bash, zsh) = (home.path().join(".bashrc"), home.path().join(".zshrc"));
        let fish = home.path().join(".config/fish");
        std::fs::write(&bash, "alias a=b\nno newline at its end").unwrap();
        std::fs::write(&zsh, "").unwrap();
        std::fs::create_dir_all(&fish).unwrap();
        for _ in 0..3 {
            install(Persona::Secretum, &environment).unwrap();
        }
        install(Persona::Vault, &environment).unwrap();
        let text = std::fs::read_to_string(&bash).unwrap();
        assert!(
            text.starts_with("alias a=b\nno newline at its end\neval "),
            "{text}"
        );
        assert_eq!(text.matches("eval").count(), 2, "{text}");
        assert!(fish.join("completions/secretum.fish").exists());
        for _ in 0..2 {
            uninstall(Persona::Secretum, &environment).unwrap();
        }
        let text = std::fs::read_to_string(&bash).unwrap();
        assert!(
            text.ends_with("# completion of vault\n") && !text.contains("secretum\n"),
            "{text}"
        );
        uninstall(Persona::Vault, &environment).unwrap();
        assert_eq!(
            std::fs::read_to_string(&bash).unwrap(),
            "alias a=b\nno newline at its end\n"
        );
        assert_eq!(std::fs::read_to_string(&zsh).unwrap(), "");
        assert!(!fish.join("completions/secretum.fish").exists());
    }
}
