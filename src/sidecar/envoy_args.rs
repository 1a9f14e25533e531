//! Additional arguments for Envoy.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/operations/cli>

use json_text::order;

use crate::problem::PROBLEMS_SHOWN;
use crate::words;

/// Arguments as a user wrote them, split into words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvoyArgs(Vec<String>);

/// Why the arguments cannot be, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub why: String,
    pub remedy: &'static str,
}

/// Flags with which Envoy would not be the proxy that the pod registers. The zone is
/// not among them: the bootstrap has none, and Consul does not ask for it.
const REFUSED: &[(&[&str], &str, &str)] = &[
    (
        &["--config-path", "--config-yaml"],
        "which would replace the bootstrap that connects Envoy to Consul",
        "leave it out; Consul's proxy-defaults entry takes what the bootstrap should have besides",
    ),
    (
        &["--service-node", "--service-cluster"],
        "which would replace the identity that the bootstrap gives the proxy",
        "leave it out",
    ),
    (
        &["--mode", "--help", "--version", "--hot-restart-version"],
        "with which Envoy may end instead of serving",
        "leave it out",
    ),
];

/// Short forms and their long ones.
const SHORT: &[(&str, &str)] = &[("-l", "--log-level"), ("-c", "--config-path"), ("-h", "--help")];

/// Flags that Envoy takes more than once.
const REPEATABLE: &[&str] = &["--stats-tag"];

impl EnvoyArgs {
    /// The words, or all that is wrong with them.
    pub fn parse(text: &str) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let words = words::split(text).unwrap_or_else(|_| {
            let why = "has a quote that is not closed".to_owned();
            flaws.push(Flaw { why, remedy: "close it, or put a backslash before it" });
            Vec::new()
        });
        if text.contains('\0') {
            let why = "has a NUL character, which no argument can have".to_owned();
            flaws.push(Flaw { why, remedy: "take it out" });
        }
        let flags: Vec<Flag<'_>> = words.iter().filter_map(|word| Flag::of(word)).collect();
        let name = |at: &usize| flags.get(*at).map_or("", |flag| flag.name);
        let order = order(flags.len(), &|left, right| name(&left).cmp(name(&right)));
        // The places of each flag, however often it is there.
        let each = order.chunk_by(|left, right| name(left) == name(right));
        let wrong = each.filter_map(|places| {
            let equals = places.iter().any(|at| flags.get(*at).is_some_and(|flag| flag.equals));
            flaw(places.first().map_or("", name), places.len(), equals)
        });
        // More are not shown in any case.
        flaws.extend(wrong.take(PROBLEMS_SHOWN.saturating_add(1)));
        if flaws.is_empty() { Ok(EnvoyArgs(words)) } else { Err(flaws) }
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Envoy refuses a flag given twice, so the policy leaves out of its own what
    /// the user wrote.
    pub fn has(&self, wanted: &str) -> bool {
        self.iter().filter_map(Flag::of).any(|flag| flag.name == wanted)
    }
}

/// What is wrong with a flag that is there so many times.
fn flaw(flag: &str, times: usize, equals: bool) -> Option<Flaw> {
    if let Some((_, why, remedy)) = REFUSED.iter().find(|(flags, ..)| flags.contains(&flag)) {
        return Some(Flaw { why: format!("has {flag}, {why}"), remedy });
    }
    if equals {
        let why = format!("has {flag} with an equals sign, with which Envoy refuses to start");
        return Some(Flaw { why, remedy: "write the flag and its value as two words" });
    }
    (times > 1 && !REPEATABLE.contains(&flag)).then(|| {
        let why = format!("has {flag} twice, with which Envoy refuses to start");
        Flaw { why, remedy: "write it once" }
    })
}

/// The flag of a word such as `--concurrency`.
struct Flag<'w> {
    /// In its long form.
    name: &'w str,
    /// Written as `--concurrency=1`.
    equals: bool,
}

impl<'w> Flag<'w> {
    fn of(word: &'w str) -> Option<Self> {
        if !word.starts_with('-') || word.as_bytes().get(1).is_none_or(u8::is_ascii_digit) {
            return None;
        }
        // Envoy takes a flag and its value in one word, with a space in it.
        let flag = word.split(' ').next().unwrap_or(word);
        let name = flag.split('=').next().unwrap_or(flag);
        let long = SHORT
            .iter()
            .find(|(short, _)| *short == name || (!name.starts_with("--") && name.starts_with(short)));
        Some(Flag { name: long.map_or(name, |(_, long)| long), equals: name.len() < flag.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentations_own_arguments() {
        let args = EnvoyArgs::parse("--log-level debug --disable-hot-restart").unwrap();
        assert_eq!(args.iter().collect::<Vec<_>>(), ["--log-level", "debug", "--disable-hot-restart"]);
        assert!(args.has("--disable-hot-restart") && args.has("--log-level") && !args.has("--concurrency"));
        assert!(EnvoyArgs::parse("--concurrency 1 -l info").unwrap().has("--concurrency"));
        assert!(EnvoyArgs::parse("'--concurrency 1'").unwrap().has("--concurrency"));
        assert!(EnvoyArgs::parse("--stats-tag a:b --stats-tag c:d").is_ok());
        assert!(EnvoyArgs::parse("--service-zone '$(x) `y`'").is_ok());
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
            ("'--config-path /x'", "--config-path"),
            ("--service-node x", "--service-node, which would replace the identity"),
            ("'--service-cluster x'", "--service-cluster, which"),
            ("--mode validate", "--mode, with which Envoy may end"),
            ("-h", "--help, with"),
            ("--concurrency=1", "--concurrency with an equals sign"),
            ("-l info --log-level debug", "--log-level twice"),
        ] {
            let flaws = EnvoyArgs::parse(text).unwrap_err();
            assert!(flaws.len() == 1 && flaws[0].why.contains(why), "{text}: {flaws:?}");
        }
    }

    #[test]
    fn all_flaws_are_told() {
        let text = "-l a --config-path x --mode y --base-id=1 -c z --service-node n -l b \0";
        let flaws = EnvoyArgs::parse(text).unwrap_err();
        let told: Vec<_> = flaws.iter().map(|flaw| flaw.why.split(',').next().unwrap_or_default()).collect();
        assert_eq!(
            told,
            [
                "has a NUL character",
                "has --base-id with an equals sign",
                "has --config-path",
                "has --log-level twice",
                "has --mode",
                "has --service-node"
            ]
        );
        assert_eq!(EnvoyArgs::parse("'\0").unwrap_err().len(), 2);
        let many: String = (0..1000).map(|index| format!(" --f{index} --f{index}")).collect();
        assert_eq!(EnvoyArgs::parse(&many).unwrap_err().len(), PROBLEMS_SHOWN + 1);
    }
}
