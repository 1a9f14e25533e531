//! Prepares the scripts of the injected containers: comments, blank lines and half of
//! the indentation go, since every pod carries the text, what the kubelet would expand is
//! protected from it, and the rest is escaped as the inside of a JSON string.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};

const FOLDER: &str = "src/sidecar/scripts";

/// Name, and whether the kubelet expands the place that it goes to.
const SCRIPTS: &[(&str, bool)] = &[
    ("common.sh", true),
    ("tls.sh", true),
    ("acl.sh", true),
    ("envoy-token.sh", true),
    ("namespace.sh", true),
    ("service-defaults.sh", true),
    ("init.sh", true),
    ("acl-lifecycle.sh", true),
    ("listener.sh", true),
    ("lifecycle.sh", true),
    ("lifecycle-pre-stop.sh", false),
    ("envoy-pre-stop.sh", false),
];

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let out = env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?;
    for (name, expanded) in SCRIPTS {
        let file = Path::new(FOLDER).join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = text.lines().filter(|line| !matches!(line.trim_start().chars().next(), None | Some('#')));
        let mut script = String::new();
        for line in lines {
            let text = line.trim_start_matches(' ');
            let indentation = line.strip_suffix(text).map_or(0, str::len);
            script.extend([&" ".repeat(indentation / 2), text, "\n"]);
        }
        let script = if *expanded { protected(&script) } else { script };
        let json = serde_json::to_string(&script)?;
        let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        fs::write(Path::new(&out).join(name), inside.context("a string is in quotes")?)?;
    }
    Ok(())
}

/// The kubelet makes `$` of `$$` and the variable's value of `$(NAME)`. It leaves any
/// other `$` as it is; a script ends with a line, so none comes to stand before what
/// follows it in a pod.
///
/// <https://github.com/kubernetes/kubernetes/blob/master/third_party/forked/golang/expansion/expand.go>
fn protected(script: &str) -> String {
    let mut text = String::with_capacity(script.len());
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        text.push(letter);
        if letter == '$' && matches!(letters.peek(), Some('$' | '(')) {
            text.push('$');
        }
    }
    text
}
