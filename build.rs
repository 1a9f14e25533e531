//! Prepares the scripts of the injected containers: comments and blank lines go,
//! since every pod carries the text, and where the kubelet expands `$(NAME)` every
//! `$` is doubled.

use std::path::Path;
use std::{env, fs, io};

const FOLDER: &str = "src/sidecar/scripts";

/// Name, parts, and whether the kubelet expands the place that it goes to.
const SCRIPTS: &[(&str, &[&str], bool)] = &[
    ("init.sh", &["common.sh", "init.sh"], true),
    ("lifecycle.sh", &["common.sh", "lifecycle.sh"], true),
    ("lifecycle-pre-stop.sh", &["lifecycle-pre-stop.sh"], false),
    ("envoy-pre-stop.sh", &["envoy-pre-stop.sh"], false),
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    for (name, parts, expanded) in SCRIPTS {
        let mut script = String::new();
        for part in *parts {
            let text = fs::read_to_string(Path::new(FOLDER).join(part))?;
            let lines =
                text.lines().filter(|line| !matches!(line.trim_start().chars().next(), None | Some('#')));
            lines.for_each(|line| script.extend([line, "\n"]));
        }
        let script = if *expanded { script.replace('$', "$$") } else { script };
        fs::write(Path::new(&out).join(name), script)?;
    }
    Ok(())
}
