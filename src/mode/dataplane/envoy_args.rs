//! Arguments for Envoy, in addition to those of consul-dataplane.

use crate::annotations::names::ENVOY_ARGS;
use crate::annotations::reader::AnnotationReader;
use crate::annotations::{envoy_args, full};
use crate::consul::envoy_args::EnvoyArgs;
use crate::problem::Flaw;

/// The annotation's arguments, or else the setting's, as words.
pub fn read(reader: &mut AnnotationReader<'_, '_>, defaults: &EnvoyArgs, several: bool) -> Vec<String> {
    let own = envoy_args::parse(reader.annotations, reader.findings);
    if let Some(flaw) = own.as_ref().and_then(log_format_flaw) {
        reader.findings.problem(flaw.at(full(ENVOY_ARGS)));
    }
    let args = own.as_ref().unwrap_or(defaults);
    if let Some(why) = base_id_flaw(args).filter(|_| several) {
        reader.findings.problem(match own {
            Some(_) => Flaw::new(why, "remove it").at(full(ENVOY_ARGS)),
            None => {
                let remedy = "ask the policy's administrator to remove it, or write the pod's own arguments in the annotation envoy-extra-args";
                Flaw::new(why, remedy).at("setting envoyExtraArgs")
            }
        });
    }
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

fn base_id_flaw(args: &EnvoyArgs) -> Option<String> {
    let flag = ["--base-id", "--use-dynamic-base-id"].into_iter().find(|flag| args.has(flag))?;
    Some(format!("{flag} is not allowed with several services: the policy sets a base ID for each proxy"))
}

/// consul-dataplane recognizes the user's flags only in their long form and as separate words,
/// and always sets `--disable-hot-restart` itself.
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
        assert!(base_id_flaw(&args("--base-id 1")).is_some());
        let allowed = args("--concurrency 1 --log-level info");
        assert!(log_format_flaw(&allowed).is_none() && base_id_flaw(&allowed).is_none());
    }
}
