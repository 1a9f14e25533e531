//! Additional arguments for Envoy.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/operations/cli>

use crate::words;
use json_text::order;

/// Arguments as a user wrote them, split into words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvoyArgs(Vec<String>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyArgsFlaw {
    pub why: String,
    pub remedy: String,
}

/// Flags that would put something else in the place of the bootstrap that the
/// init container writes.
const BOOTSTRAP: &[&str] = &["-c", "--config-path", "--config-yaml"];

/// Short forms and their long ones.
const SHORT: &[(&str, &str)] = &[("-l", "--log-level"), ("-c", "--config-path")];

/// Flags that Envoy takes more than once.
const REPEATABLE: &[&str] = &["--stats-tag"];

impl EnvoyArgs {
    pub fn parse(text: &str) -> Result<Self, EnvoyArgsFlaw> {
        let flaw = |why: String, remedy: &str| EnvoyArgsFlaw { why, remedy: remedy.to_owned() };
        let words = words::split(text).map_err(|_| {
            flaw("has a quote that is not closed".into(), "close it, or put a backslash before it")
        })?;
        if text.contains('\0') {
            return Err(flaw("has a NUL character, which no argument can have".into(), "take it out"));
        }
        let flags: Vec<&str> = words.iter().filter_map(|word| flag(word)).collect();
        for flag in &flags {
            if BOOTSTRAP.contains(flag) {
                let why =
                    format!("has {flag}, which would replace the bootstrap that connects Envoy to Consul");
                return Err(flaw(
                    why,
                    "leave it out; Consul's proxy-defaults entry takes what the bootstrap should have besides",
                ));
            }
        }
        let flag = |at: &usize| flags.get(*at).copied().unwrap_or_default();
        let order = order(flags.len(), &|left, right| flag(&left).cmp(flag(&right)));
        let same = |(at, next): &(&usize, &usize)| flag(at) == flag(next) && !REPEATABLE.contains(&flag(at));
        let twice = order.iter().zip(order.iter().skip(1)).find(same);
        if let Some(flag) = twice.map(|(at, _)| flag(at)) {
            let why = format!("has {flag} twice, with which Envoy refuses to start");
            return Err(flaw(why, "write it once"));
        }
        Ok(EnvoyArgs(words))
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Envoy refuses a flag given twice, so the policy leaves out of its own what
    /// the user wrote.
    pub fn has(&self, wanted: &str) -> bool {
        self.iter().filter_map(flag).any(|flag| flag == wanted)
    }
}

/// The flag of a word such as `--concurrency` or `--concurrency=1`, in its long form.
fn flag(word: &str) -> Option<&str> {
    if !word.starts_with('-') || word.as_bytes().get(1).is_none_or(u8::is_ascii_digit) {
        return None;
    }
    let flag = word.split_once('=').map_or(word, |(flag, _)| flag);
    let long = SHORT
        .iter()
        .find(|(short, _)| *short == flag || (!flag.starts_with("--") && flag.starts_with(short)));
    Some(long.map_or(flag, |(_, long)| long))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentations_own_arguments() {
        let args = EnvoyArgs::parse("--log-level debug --disable-hot-restart").unwrap();
        assert_eq!(args.iter().collect::<Vec<_>>(), ["--log-level", "debug", "--disable-hot-restart"]);
        assert!(args.has("--disable-hot-restart") && args.has("--log-level") && !args.has("--concurrency"));
        assert!(EnvoyArgs::parse("--concurrency=1 -l info").unwrap().has("--concurrency"));
        assert!(EnvoyArgs::parse("--stats-tag a:b --stats-tag c:d").is_ok());
        assert!(EnvoyArgs::parse("  ").unwrap().iter().next().is_none());
    }

    #[test]
    fn what_envoy_or_the_mesh_would_not_survive() {
        for (text, why) in [
            ("\"a", "not closed"),
            ("a\0b", "NUL"),
            ("-c /tmp/x", "--config-path"),
            ("-c/tmp/x", "--config-path"),
            ("--config-yaml '{}'", "--config-yaml"),
            ("--config-path=/x", "--config-path"),
            ("-l info --log-level debug", "--log-level twice"),
        ] {
            assert!(EnvoyArgs::parse(text).unwrap_err().why.contains(why), "{text}");
        }
    }
}
