//! Arguments for Envoy, in addition to those of consul-dataplane.

use crate::annotations::names::ENVOY_ARGS;
use crate::annotations::reader::AnnotationReader;
use crate::annotations::{envoy_args, full};
use crate::consul::envoy_args::EnvoyArgs;
use crate::problem::Flaw;

/// The annotation's arguments, or else the setting's, as words.
pub fn read(reader: &mut AnnotationReader<'_, '_>, defaults: &EnvoyArgs, several: bool) -> Vec<String> {
    let own = envoy_args::parse(reader.annotations, reader.findings);
    let args = own.as_ref().unwrap_or(defaults);
    if let Some(flaw) = flaw(args, several) {
        reader.findings.problem(flaw.at(full(ENVOY_ARGS)));
    }
    words(args)
}

/// Reports flags that consul-dataplane or the policy sets, because Envoy does not start with a flag
/// given twice. consul-dataplane itself replaces its `--log-level`, `--concurrency` and drain flags
/// with the user's.
fn flaw(args: &EnvoyArgs, several: bool) -> Option<Flaw> {
    let is_set = |flag: &&&str| args.has(flag);
    if args.has("--log-format") {
        let why = "--log-format is not allowed: consul-dataplane sets it";
        return Some(Flaw::new(why, "remove it; the format is the policy's setting logJSON"));
    }
    let base_id = ["--base-id", "--use-dynamic-base-id"];
    base_id.iter().find(is_set).filter(|_| several).map(|flag| {
        let why =
            format!("{flag} is not allowed with several services: the policy sets a base ID for each proxy");
        Flaw::new(why, "remove it")
    })
}

fn words(args: &EnvoyArgs) -> Vec<String> {
    // consul-dataplane always sets the first flag, and knows the second only by its long name.
    let words = args.iter().filter(|word| *word != "--disable-hot-restart");
    words.map(|word| if word == "-l" { "--log-level" } else { word }.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_consul_dataplane_passes() {
        let args = |text: &str| EnvoyArgs::parse(text).unwrap();
        assert_eq!(
            words(&args("-l debug --disable-hot-restart --x y")),
            ["--log-level", "debug", "--x", "y"]
        );
        assert!(flaw(&args("--log-format x"), false).unwrap().to_string().contains("--log-format"));
        assert!(flaw(&args("--base-id 1"), true).is_some() && flaw(&args("--base-id 1"), false).is_none());
        assert_eq!(flaw(&args("--concurrency 1 --log-level info"), true), None);
    }
}
