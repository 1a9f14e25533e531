//! Arguments for Envoy, in addition to those of consul-dataplane.

use crate::annotations::names::ENVOY_ARGS;
use crate::annotations::reader::AnnotationReader;
use crate::annotations::{envoy_args, full};
use crate::consul::envoy_args::EnvoyArgs;
use crate::problem::Flaw;

/// The annotation's arguments, or else the setting's, as words.
pub fn read(reader: &mut AnnotationReader<'_, '_>, defaults: &EnvoyArgs, several: bool) -> Vec<String> {
    let own = envoy_args::parse(reader.annotations, reader.findings);
    let (place, remedy) = match own {
        Some(_) => (full(ENVOY_ARGS), "remove it"),
        None => (
            "setting envoyExtraArgs".to_owned(),
            "ask the policy's administrator to remove it, or write the pod's own arguments in the annotation envoy-extra-args",
        ),
    };
    let args = own.as_ref().unwrap_or(defaults);
    let flaws = [log_format_flaw(args), base_id_flaw(args, remedy).filter(|_| several)];
    reader.findings.problems.extend(flaws.into_iter().flatten().map(|flaw| flaw.at(&*place)));
    words(args)
}

/// Envoy does not start with a flag given twice. consul-dataplane replaces its `--log-level`,
/// `--concurrency` and drain flags with the user's, but not its `--log-format`.
pub fn log_format_flaw(args: &EnvoyArgs) -> Option<Flaw> {
    args.has("--log-format").then(|| {
        let why = "--log-format is not allowed: consul-dataplane sets it";
        Flaw::new(why, "remove it; the format is the policy's setting logJSON")
    })
}

fn base_id_flaw(args: &EnvoyArgs, remedy: &str) -> Option<Flaw> {
    let flag = ["--base-id", "--use-dynamic-base-id"].into_iter().find(|flag| args.has(flag))?;
    let why =
        format!("{flag} is not allowed with several services: the policy sets a base ID for each proxy");
    Some(Flaw::new(why, remedy))
}

/// consul-dataplane finds only long flags in words of their own, and always sets
/// `--disable-hot-restart`.
fn words(args: &EnvoyArgs) -> Vec<String> {
    args.words_without(&["--disable-hot-restart"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_consul_dataplane_passes() {
        let args = |text: &str| EnvoyArgs::parse(text).unwrap();
        let passed = ["--log-level", "debug", "--service-zone", "-l", "--x", "y", "z"];
        assert_eq!(words(&args("-l debug --disable-hot-restart --service-zone -l --x y z")), passed);
        assert_eq!(words(&args("'-l debug' '--service-zone -l' --x y z")), passed);
        assert!(log_format_flaw(&args("--log-format x")).unwrap().to_string().contains("--log-format"));
        assert!(base_id_flaw(&args("--base-id 1"), "remove it").is_some());
        let allowed = args("--concurrency 1 --log-level info");
        assert!(log_format_flaw(&allowed).is_none() && base_id_flaw(&allowed, "remove it").is_none());
    }
}
