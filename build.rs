//! Prepares the scripts of the injected containers. Every pod contains them, so comments and
//! blank lines are removed. `$` is doubled for the kubelet, which expands variables in
//! commands, but not in lifecycle hooks.

use std::ffi::OsStr;
use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};

const FOLDER: &str = "src/mode/agent/scripts";
const HOOKS: [&str; 3] = ["envoy-pre-stop.sh", "lifecycle-post-start.sh", "lifecycle-pre-stop.sh"];

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let out = env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?;
    for entry in fs::read_dir(FOLDER).context(FOLDER)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).context("a script has a name")?;
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let lines = text.lines().filter(|line| !matches!(line.trim_start().chars().next(), None | Some('#')));
        let script: String = lines.flat_map(|line| [line, "\n"]).collect();
        let script = if HOOKS.contains(&name) { script } else { script.replace('$', "$$") };
        fs::write(Path::new(&out).join(name), script)?;
    }
    Ok(())
}
