//! Additional arguments for Envoy.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/operations/cli>

use std::collections::BTreeMap;

use crate::problem::{Flaw, PROBLEMS_SHOWN};
use crate::text::Quoted;

/// The user's arguments, split into words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvoyArgs(Vec<String>);

/// Flags that are not allowed, because the proxy would not be the one that the pod registers.
/// The zone is allowed: the bootstrap has none, and Consul does not use it.
const REFUSED: &[(&[&str], &str, &str)] = &[
    (
        &["--config-path", "--config-yaml"],
        "it replaces the bootstrap configuration that connects Envoy to Consul",
        "remove it, and extend the bootstrap with a proxy-defaults entry in Consul",
    ),
    (
        &["--service-node", "--service-cluster"],
        "it replaces the identity that the bootstrap configuration gives the proxy",
        "remove it",
    ),
    (
        &["--mode", "--help", "--version", "--hot-restart-version"],
        "Envoy may exit instead of serving",
        "remove it",
    ),
];

/// Short flags and their long forms.
const SHORT: &[(&str, &str)] = &[("-l", "--log-level"), ("-c", "--config-path"), ("-h", "--help")];

/// Flags that Envoy accepts more than once.
const REPEATABLE: &[&str] = &["--stats-tag"];

/// Flags that take no value. A flag in neither list may have one.
const SWITCHES: &[&str] = &[
    "--allow-unknown-fields",
    "--allow-unknown-static-fields",
    "--cpuset-threads",
    "--disable-hot-restart",
    "--enable-core-dump",
    "--enable-fine-grain-logging",
    "--enable-mutex-tracing",
    "--help",
    "--hot-restart-version",
    "--ignore-unknown-dynamic-fields",
    "--log-format-escaped",
    "--reject-unknown-dynamic-fields",
    "--skip-deprecated-logs",
    "--skip-hot-restart-on-no-parent",
    "--skip-hot-restart-parent-stats",
    "--use-dynamic-base-id",
    "--version",
];

/// The values that a flag accepts.
#[derive(Clone, Copy)]
enum Takes {
    Anything,
    /// 32 bits. Envoy also accepts the empty string.
    Number,
    OneOf(&'static [&'static str]),
}

/// Flags that require a value: the next word, also if it looks like a flag.
const VALUED: &[(&str, Takes)] = &[
    ("--admin-address-path", Takes::Anything),
    ("--base-id", Takes::Number),
    ("--base-id-path", Takes::Anything),
    ("--component-log-level", Takes::Anything),
    ("--concurrency", Takes::Number),
    ("--config-path", Takes::Anything),
    ("--config-yaml", Takes::Anything),
    ("--disable-extensions", Takes::Anything),
    ("--drain-strategy", Takes::OneOf(&["gradual", "immediate"])),
    ("--drain-time-s", Takes::Number),
    ("--file-flush-interval-msec", Takes::Number),
    ("--local-address-ip-version", Takes::OneOf(&["v4", "v6"])),
    ("--log-format", Takes::Anything),
    ("--log-level", Takes::OneOf(&["trace", "debug", "info", "warning", "warn", "error", "critical", "off"])),
    ("--log-path", Takes::Anything),
    ("--mode", Takes::Anything),
    ("--parent-shutdown-time-s", Takes::Number),
    ("--restart-epoch", Takes::Number),
    ("--service-cluster", Takes::Anything),
    ("--service-node", Takes::Anything),
    ("--service-zone", Takes::Anything),
    ("--socket-mode", Takes::Anything),
    ("--socket-path", Takes::Anything),
    ("--stats-tag", Takes::Anything),
];

/// The values that the flag accepts, if it requires one.
fn takes(flag: &str) -> Option<Takes> {
    VALUED.iter().find(|(valued, _)| *valued == flag).map(|(_, takes)| *takes)
}

impl EnvoyArgs {
    /// The words, or all their problems.
    pub fn parse(text: &str) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let words = shlex::split(text).unwrap_or_else(|| {
            flaws.push(Flaw::new("has an unclosed quote", "close it, or escape it with a backslash"));
            Vec::new()
        });
        if text.contains('\0') {
            flaws.push("must not contain a NUL character".into());
        }
        let args = EnvoyArgs(words);
        let mut flags: BTreeMap<&str, Vec<Flag<'_>>> = BTreeMap::new();
        for flag in args.roles().filter_map(Role::flag) {
            flags.entry(flag.name).or_default().push(flag);
        }
        let wrong = flags.iter().filter_map(|(name, uses)| {
            flag_flaw(name, uses).or_else(|| uses.iter().find_map(Flag::value_flaw))
        });
        // A message does not show more.
        flaws.extend(wrong.take(PROBLEMS_SHOWN + 1));
        if flaws.is_empty() { Ok(args) } else { Err(flaws) }
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Envoy does not start with a flag given twice, so the policy omits its own flags that the
    /// user wrote, too.
    pub fn has(&self, wanted: &str) -> bool {
        self.roles().filter_map(Role::flag).any(|flag| flag.name == wanted)
    }

    /// A word for each flag, in its long form, and for each value, without the flags in `omitted`.
    pub fn words_without(&self, omitted: &[&str]) -> Vec<String> {
        let words = |role| match role {
            Role::Flag(flag) if omitted.contains(&flag.name) => Vec::new(),
            Role::Flag(flag) => [flag.name].into_iter().chain(flag.value).map(str::to_owned).collect(),
            Role::Stray(word) => vec![word.to_owned()],
        };
        self.roles().flat_map(words).collect()
    }

    /// Words that are neither a flag nor the value of one.
    pub fn strays(&self) -> impl Iterator<Item = &str> {
        self.roles().filter_map(|role| match role {
            Role::Stray(word) => Some(word),
            Role::Flag(_) => None,
        })
    }

    /// The roles of the words; the values of flags are part of the flags.
    fn roles(&self) -> impl Iterator<Item = Role<'_>> {
        let mut words = self.iter().peekable();
        std::iter::from_fn(move || {
            let word = words.next()?;
            let Some(mut flag) = Flag::of(word) else { return Some(Role::Stray(word)) };
            if flag.value.is_none() {
                if takes(flag.name).is_some() {
                    flag.value = words.next();
                } else if !SWITCHES.contains(&flag.name) {
                    flag.value = words.next_if(|next| Flag::of(next).is_none());
                }
            }
            Some(Role::Flag(flag))
        })
    }
}

/// What is wrong with the uses of a flag.
fn flag_flaw(name: &str, uses: &[Flag<'_>]) -> Option<Flaw> {
    if let Some((_, why, remedy)) = REFUSED.iter().find(|(flags, ..)| flags.contains(&name)) {
        return Some(Flaw::new(format!("{name} is not allowed: {why}"), *remedy));
    }
    if uses.iter().any(|flag| flag.joined) {
        let why = format!("Envoy does not start with {name} and its value in one word");
        return Some(Flaw::new(why, "write a space between them"));
    }
    (uses.len() > 1 && !REPEATABLE.contains(&name))
        .then(|| Flaw::new(format!("Envoy does not start with {name} twice"), "write it once"))
}

/// The role of a word in Envoy's command line.
enum Role<'w> {
    Flag(Flag<'w>),
    Stray(&'w str),
}

impl<'w> Role<'w> {
    fn flag(self) -> Option<Flag<'w>> {
        match self {
            Role::Flag(flag) => Some(flag),
            Role::Stray(_) => None,
        }
    }
}

/// The flag of a word such as `--concurrency`.
struct Flag<'w> {
    /// In its long form.
    name: &'w str,
    value: Option<&'w str>,
    /// Written as `--concurrency=1` or `-linfo`, which Envoy does not accept.
    joined: bool,
}

impl<'w> Flag<'w> {
    fn of(word: &'w str) -> Option<Self> {
        if !word.starts_with('-') || word.as_bytes().get(1).is_none_or(u8::is_ascii_digit) {
            return None;
        }
        // Envoy accepts a flag and its value in one word that has a space.
        let (flag, value) = word.split_once(' ').map_or((word, None), |(flag, value)| (flag, Some(value)));
        let name = flag.split('=').next().unwrap_or(flag);
        let long = SHORT
            .iter()
            .find(|(short, _)| *short == name || (!name.starts_with("--") && name.starts_with(short)));
        let longer = long.is_some_and(|(short, _)| name.len() > short.len());
        Some(Flag {
            name: long.map_or(name, |(_, long)| long),
            value,
            joined: name.len() < flag.len() || longer,
        })
    }

    /// What is wrong with its value, also if a value is missing.
    fn value_flaw(&self) -> Option<Flaw> {
        let name = self.name;
        let takes = takes(name)?;
        let Some(value) = self.value else {
            return Some(format!("{name} requires a value").into());
        };
        let (fits, rule) = match takes {
            Takes::Anything => return None,
            Takes::Number => {
                let fits = value.is_empty() || value.parse::<u32>().is_ok();
                (fits, "must be an integer from 0 to 4294967295".to_owned())
            }
            Takes::OneOf(words) => (words.contains(&value), format!("must be one of {}", words.join(", "))),
        };
        (!fits).then(|| format!("the value {} of {name} {rule}", Quoted(value, 100)).into())
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
        assert!(EnvoyArgs::parse("--concurrency 4294967295 --drain-time-s '' -l warn").is_ok());
        assert!(EnvoyArgs::parse("  ").unwrap().iter().next().is_none());
    }

    #[test]
    fn a_flags_value_is_no_flag() {
        let args =
            EnvoyArgs::parse("--log-format '-l %v' -l debug --use-dynamic-base-id --new --newer 1").unwrap();
        assert!(args.has("--log-level") && args.has("--newer") && args.strays().next().is_none());
        assert!(!EnvoyArgs::parse("--log-format '--concurrency 1'").unwrap().has("--concurrency"));
        let strays =
            |text: &str| EnvoyArgs::parse(text).unwrap().strays().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(strays("a --disable-hot-restart b --new c d"), ["a", "b", "d"]);
        assert_eq!(strays("\u{2014}log-level debug"), ["\u{2014}log-level", "debug"]);
    }

    #[test]
    fn arguments_that_break_envoy_or_the_mesh() {
        for (text, why) in [
            ("\"a", "unclosed quote"),
            ("a\0b", "NUL"),
            ("-c /tmp/x", "--config-path"),
            ("-c/tmp/x", "--config-path"),
            ("--config-yaml '{}'", "--config-yaml"),
            ("--config-path=/x", "--config-path"),
            ("'--config-path /x'", "--config-path"),
            ("--service-node x", "--service-node is not allowed: it replaces the identity"),
            ("'--service-cluster x'", "--service-cluster is not allowed"),
            ("--mode validate", "--mode is not allowed: Envoy may exit"),
            ("-h", "--help is not allowed"),
            ("--concurrency=1", "--concurrency and its value in one"),
            ("-linfo", "--log-level and its value in one"),
            ("-l info --log-level debug", "--log-level twice"),
            ("--concurrency two", "\"two\" of --concurrency must be an integer"),
            ("--concurrency -1", "\"-1\" of --concurrency"),
            ("--concurrency 4294967296", "\"4294967296\" of --concurrency"),
            ("'--drain-time-s 5s'", "\"5s\" of --drain-time-s"),
            ("--base-id --use-dynamic-base-id", "\"--use-dynamic-base-id\" of --base-id"),
            ("--log-level verbose", "\"verbose\" of --log-level must be one of trace"),
            ("--disable-hot-restart --log-level", "--log-level requires a value"),
            ("--stats-tag a:b --stats-tag", "--stats-tag requires a value"),
        ] {
            let flaws = EnvoyArgs::parse(text).unwrap_err();
            assert!(flaws.len() == 1 && flaws[0].to_string().contains(why), "{text}: {flaws:?}");
        }
    }

    #[test]
    fn all_flaws_are_reported() {
        let text = "-l a --config-path x --mode y --base-id=1 -c z --service-node n -l b \0";
        let flaws = EnvoyArgs::parse(text).unwrap_err();
        let expected = [
            "must not contain a NUL character",
            "Envoy does not start with --base-id and its value in one word",
            "--config-path is not allowed",
            "Envoy does not start with --log-level twice",
            "--mode is not allowed",
            "--service-node is not allowed",
        ];
        assert_eq!(flaws.len(), expected.len(), "{flaws:#?}");
        for (flaw, beginning) in flaws.iter().zip(expected) {
            assert!(flaw.to_string().starts_with(beginning), "{flaw}");
        }
        assert_eq!(EnvoyArgs::parse("'\0").unwrap_err().len(), 2);
        let many: String = (0..1000).map(|index| format!(" --f{index} --f{index}")).collect();
        assert_eq!(EnvoyArgs::parse(&many).unwrap_err().len(), PROBLEMS_SHOWN + 1);
    }
}
