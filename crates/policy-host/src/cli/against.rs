//! `policy-host run --against`: compares the pod of the chart's webhook with the policy's.

use std::io::{self, Write};

use policy_host::{
    against::{self, Difference},
    documents, manifest,
};
use serde_json::{Value, json};

use super::{
    failure::{Failure, Status},
    input,
    style::{self, Screen, paint},
};

/// The pod that the webhook made.
pub struct Theirs {
    pub title: String,
    pod: Value,
}

impl Theirs {
    /// Reads what `kubectl get pod -o yaml` prints.
    pub fn read(path: &str) -> Result<Self, Failure> {
        let bad = |message: &str| Failure::new(Status::BadInput, format!("{path}: {message}"));
        let pod = documents::parse_one(&input::read(path)?).map_err(|error| bad(&error.to_string()))?;
        if pod["kind"] != "Pod" {
            return Err(bad("not a pod").hint("print one with `kubectl get pod NAME -o yaml`"));
        }
        let status = pod.pointer("/metadata/annotations/consul.hashicorp.com~1connect-inject-status");
        if status != Some(&json!("injected")) {
            return Err(bad("this pod was not injected by Consul's webhook"));
        }
        Ok(Self { title: manifest::title(&pod, None), pod })
    }

    /// The pod before injection, as a manifest.
    pub fn original(&self) -> Result<String, Failure> {
        let original = against::original(&self.pod).ok_or_else(|| {
            Failure::new(
                Status::BadInput,
                format!("{}: the pod does not contain its original manifest", self.title),
            )
            .hint("pass the original pod or workload with --request-path")
        })?;
        Ok(original.to_string())
    }

    /// Prints how the policy's pod differs. True if all differences are intended.
    pub fn compare(&self, out: &mut impl Write, screen: &Screen, ours: &Value) -> io::Result<bool> {
        let differences = against::compare(&self.pod, ours);
        let (meant, other): (Vec<_>, Vec<_>) =
            differences.iter().partition(|difference| difference.reason.is_some());
        let count = match (meant.len(), other.len()) {
            (0, 0) => "no difference".to_owned(),
            (meant, 0) => format!("{meant} differences, all of them intended"),
            (meant, other) => format!("{} differences, {other} of them for an unknown reason", meant + other),
        };
        let color = if other.is_empty() { style::GOOD } else { style::CARE };
        writeln!(out, "{}: {}", style::strong(&self.title), paint(color, count))?;
        let mut shown: Option<&str> = None;
        let mut by_reason = meant;
        by_reason.sort_by_key(|difference| difference.reason.map(|reason| reason.says));
        for difference in by_reason {
            let says = difference.reason.map(|reason| reason.says);
            if shown != says {
                lines(out, screen, 2, says.unwrap_or_default(), anstyle::Style::new())?;
                shown = says;
            }
            line(out, screen, difference, style::FAINT)?;
        }
        if !other.is_empty() {
            let text = "for an unknown reason; are the settings equivalent to the chart's values and the namespace's labels?";
            lines(out, screen, 2, text, style::CARE)?;
        }
        for difference in &other {
            line(out, screen, difference, style::CARE)?;
        }
        Ok(other.is_empty())
    }
}

fn lines(
    out: &mut impl Write,
    screen: &Screen,
    indent: usize,
    text: &str,
    color: anstyle::Style,
) -> io::Result<()> {
    for line in screen.wrap(text, indent) {
        writeln!(out, "{:indent$}{}", "", paint(color, line))?;
    }
    Ok(())
}

/// `PATH: THEIRS → OURS`, at most as long as the screen.
fn line(
    out: &mut impl Write,
    screen: &Screen,
    difference: &Difference,
    color: anstyle::Style,
) -> io::Result<()> {
    let [theirs, ours] = [&difference.theirs, &difference.ours].map(|value| match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    });
    let text = format!("    {}: {theirs} → {ours}", difference.path);
    writeln!(out, "{}", paint(color, screen.cut(&text.replace('\n', "⏎"))))
}
