//! Installing client libraries of others, each in its pinned version; what they play is told in `clients/README.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{kafkars, root};

/// The scripts in a language.
pub fn sources(language: &str) -> PathBuf {
    root().join("tests/clients").join(language)
}

/// Where the libraries are installed, beside the binary under test.
fn installed(language: &str) -> PathBuf {
    let target = kafkars().parent().and_then(Path::parent).unwrap();
    target.join("test-clients").join(language)
}

/// Runs a step of an installation; the error is the reason to skip.
fn step(program: &str, args: &[&str], dir: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|e| format!("{program} cannot be run: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said
        .lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .unwrap_or("");
    Err(format!("`{program} {}` failed: {last}", args.join(" ")))
}

/// Installs once for each content of `manifest`; `install` gets an empty directory.
fn install_once(
    language: &str,
    manifest: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let wanted = fs::read(sources(language).join(manifest)).unwrap();
    let (dir, done) = (installed(language), installed(language).join("installed"));
    if fs::read(&done).ok().as_ref() != Some(&wanted) {
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        install(&dir)?;
        fs::write(done, wanted).unwrap();
    }
    Ok(dir)
}

/// The interpreter of an environment with the Python clients.
pub fn install_python() -> Result<PathBuf, String> {
    let dir = install_once("python", "requirements.txt", |dir| {
        step("python3", &["-m", "venv", "."], dir)?;
        let requirements = sources("python").join("requirements.txt");
        let requirements = requirements.to_str().unwrap();
        step(
            "./bin/python",
            &[
                "-m",
                "pip",
                "install",
                "-q",
                "--only-binary=:all:",
                "-r",
                requirements,
            ],
            dir,
        )
    })?;
    step("./bin/python", &["--version"], &dir)?;
    Ok(dir.join("bin/python"))
}

/// The script beside its libraries.
pub fn install_node() -> Result<PathBuf, String> {
    step("node", &["--version"], root())?;
    let dir = install_once("node", "package.json", |dir| {
        fs::copy(
            sources("node").join("package.json"),
            dir.join("package.json"),
        )
        .unwrap();
        step(
            "npm",
            &["install", "--no-audit", "--no-fund", "--ignore-scripts"],
            dir,
        )
    })?;
    fs::copy(sources("node").join("kafkajs.js"), dir.join("kafkajs.js")).unwrap();
    Ok(dir.join("kafkajs.js"))
}

/// The built program.
pub fn build_go(name: &str) -> Result<PathBuf, String> {
    fs::create_dir_all(installed("go")).unwrap();
    let program = installed("go").join(name);
    let (to, from) = (program.to_str().unwrap(), format!("./{name}"));
    step("go", &["build", "-o", to, &from], &sources("go"))?;
    Ok(program)
}
