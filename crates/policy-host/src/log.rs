//! The log lines of a guest. Logging is the only host capability that this host offers.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The level of a line, with the names of the policy SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    #[value(help = "Also trace lines of policies")]
    Trace,
    #[value(help = "Also every request")]
    Debug,
    Info,
    #[value(name = "warn")]
    Warning,
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARN",
            Self::Error => "ERROR",
        })
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name.to_ascii_uppercase().as_str() {
            "TRACE" => Ok(Self::Trace),
            "DEBUG" => Ok(Self::Debug),
            "INFO" => Ok(Self::Info),
            "WARNING" => Ok(Self::Warning),
            "ERROR" => Ok(Self::Error),
            _ => Err(serde::de::Error::custom(format!("unknown log level {name}"))),
        }
    }
}

/// One line that a guest logged.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LogEntry {
    pub level: Level,
    #[serde(default)]
    pub message: Option<String>,
    /// All other fields: those of the line, and its position in the source
    /// (`file`, `line`, `column`).
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl LogEntry {
    /// A line that is not in the SDK's JSON format is kept as written, with the level
    /// `Error`, so that the guest's mistake shows.
    pub(crate) fn parse(payload: &[u8]) -> Self {
        serde_json::from_slice(payload).unwrap_or_else(|error| Self {
            level: Level::Error,
            message: Some(format!("unreadable log line ({error}): {}", String::from_utf8_lossy(payload))),
            fields: Map::new(),
        })
    }

    /// The line without its level: `injected name="web" namespace="default"`.
    /// Always one line: control characters of the guest are escaped.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for character in self.message.as_deref().unwrap_or_default().chars() {
            if character.is_control() {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        let position = ["file", "line", "column"];
        for (key, value) in self.fields.iter().filter(|(key, _)| !position.contains(&key.as_str())) {
            // Writing to a string cannot fail.
            let _ = write!(text, " {key}={value}");
        }
        text
    }
}

impl fmt::Display for LogEntry {
    /// `INFO  injected name="web" namespace="default"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5} {}", self.level, self.text())
    }
}

/// Receives each line when the guest logs it.
pub type LogSink = Arc<dyn Fn(LogEntry) + Send + Sync>;

/// Collects the log lines of all calls, for tests.
#[derive(Clone, Debug, Default)]
pub struct Logs(Arc<Mutex<Vec<LogEntry>>>);

impl Logs {
    /// Returns the lines collected so far and removes them.
    pub fn take(&self) -> Vec<LogEntry> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A sink that appends to this collection.
    pub fn sink(&self) -> LogSink {
        let lines = Arc::clone(&self.0);
        Arc::new(move |entry| {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        })
    }
}

/// Answers a guest's `host_call`.
pub(crate) fn host_call(
    sink: Option<&LogSink>,
    binding: &str,
    namespace: &str,
    operation: &str,
    payload: &[u8],
) -> Result<Vec<u8>, String> {
    if (binding, namespace, operation) == ("kubewarden", "tracing", "log") {
        // Without a sink, lines are not parsed.
        if let Some(sink) = sink {
            sink(LogEntry::parse(payload));
        }
        return Ok(Vec::new());
    }
    Err(format!(
        "the host capability {binding}/{namespace}/{operation} is not supported: \
         this host supports only logging (kubewarden/tracing/log)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_level_message_and_its_own_fields() {
        let entry = LogEntry::parse(
            br#"{"level":"warning","message":"a\nb","pod":"web","file":"src/lib.rs","line":3,"column":1}"#,
        );
        assert_eq!(entry.to_string(), r#"WARN  a\nb pod="web""#);
    }

    #[test]
    fn an_unreadable_line_is_kept() {
        let entry = LogEntry::parse(b"hello");
        assert_eq!(entry.level, Level::Error);
        assert!(entry.to_string().ends_with(": hello"));
    }
}
