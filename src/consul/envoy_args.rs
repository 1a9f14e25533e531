//! Additional arguments for Envoy.
//!
//! <https://www.envoyproxy.io/docs/envoy/latest/operations/cli>

use std::collections::BTreeMap;

use crate::problem::{Flaw, PROBLEMS_SHOWN};
use crate::text::Quoted;

/// Arguments as a user wrote them, split into words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvoyArgs(Vec<String>);

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

/// Flags that take no value. One that is in neither list may take one.
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

/// What Envoy takes as the value of a flag.
#[derive(Clone, Copy)]
enum Takes {
    Anything,
    /// Of 32 bits; Envoy starts with nothing, in quotes, too.
    Number,
    OneOf(&'static [&'static str]),
}

/// Flags whose next word is their value, whatever it looks like.
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

/// What Envoy takes for the flag, if it must have a value.
fn takes(flag: &str) -> Option<Takes> {
    VALUED.iter().find(|(valued, _)| *valued == flag).map(|(_, takes)| *takes)
}

impl EnvoyArgs {
    /// The words, or all that is wrong with them.
    pub fn parse(text: &str) -> Result<Self, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let words = shlex::split(text).unwrap_or_else(|| {
            flaws.push(Flaw::new("has a quote that is not closed", "close it, or put a backslash before it"));
            Vec::new()
        });
        if text.contains('\0') {
            flaws.push(Flaw::new("has a NUL character, which no argument can have", "take it out"));
        }
        let args = EnvoyArgs(words);
        let mut flags: BTreeMap<&str, Vec<Flag<'_>>> = BTreeMap::new();
        for flag in args.roles().filter_map(Role::flag) {
            flags.entry(flag.name).or_default().push(flag);
        }
        let wrong = flags.iter().filter_map(|(name, uses)| {
            flag_flaw(name, uses).or_else(|| uses.iter().find_map(Flag::value_flaw))
        });
        // A message shows no more.
        flaws.extend(wrong.take(PROBLEMS_SHOWN + 1));
        if flaws.is_empty() { Ok(args) } else { Err(flaws) }
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Envoy refuses a flag given twice, so the policy leaves out of its own what
    /// the user wrote.
    pub fn has(&self, wanted: &str) -> bool {
        self.roles().filter_map(Role::flag).any(|flag| flag.name == wanted)
    }

    /// Words that are neither a flag nor the value of one.
    pub fn strays(&self) -> impl Iterator<Item = &str> {
        self.roles().filter_map(|role| match role {
            Role::Stray(word) => Some(word),
            Role::Flag(_) => None,
        })
    }

    /// What the words are, but for the values of flags.
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
        return Some(Flaw::new(format!("has {name}, {why}"), *remedy));
    }
    if uses.iter().any(|flag| flag.joined) {
        let why = format!("has {name} and its value in one, with which Envoy refuses to start");
        return Some(Flaw::new(why, "write the flag and its value as two words"));
    }
    (uses.len() > 1 && !REPEATABLE.contains(&name)).then(|| {
        let why = format!("has {name} twice, with which Envoy refuses to start");
        Flaw::new(why, "write it once")
    })
}

/// What a word is for Envoy.
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
    /// Written as `--concurrency=1` or `-linfo`, which Envoy does not take.
    joined: bool,
}

impl<'w> Flag<'w> {
    fn of(word: &'w str) -> Option<Self> {
        if !word.starts_with('-') || word.as_bytes().get(1).is_none_or(u8::is_ascii_digit) {
            return None;
        }
        // Envoy takes a flag and its value in one word, with a space in it.
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

    /// What is wrong with its value, or that it has none.
    fn value_flaw(&self) -> Option<Flaw> {
        let name = self.name;
        let takes = takes(name)?;
        let Some(value) = self.value else {
            let why = format!("has {name} without a value, with which Envoy refuses to start");
            return Some(Flaw::new(why, "write its value after it"));
        };
        let (fits, remedy) = match takes {
            Takes::Anything => return None,
            Takes::Number => {
                let fits = value.is_empty() || value.parse::<u32>().is_ok();
                (fits, "write a whole number, at most 4294967295".to_owned())
            }
            Takes::OneOf(words) => (words.contains(&value), format!("write one of {}", words.join(", "))),
        };
        (!fits).then(|| {
            let why = format!("has {name} {}, with which Envoy refuses to start", Quoted(value, 100));
            Flaw::new(why, remedy)
        })
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
            ("--concurrency=1", "--concurrency and its value in one"),
            ("-linfo", "--log-level and its value in one"),
            ("-l info --log-level debug", "--log-level twice"),
            ("--concurrency two", "--concurrency \"two\", with which Envoy refuses"),
            ("--concurrency -1", "--concurrency \"-1\""),
            ("--concurrency 4294967296", "--concurrency \"4294967296\""),
            ("'--drain-time-s 5s'", "--drain-time-s \"5s\""),
            ("--base-id --use-dynamic-base-id", "--base-id \"--use-dynamic-base-id\""),
            ("--log-level verbose", "--log-level \"verbose\""),
            ("--disable-hot-restart --log-level", "--log-level without a value"),
            ("--stats-tag a:b --stats-tag", "--stats-tag without a value"),
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
                "has --base-id and its value in one",
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
