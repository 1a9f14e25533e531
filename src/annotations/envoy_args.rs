//! The annotation `envoy-extra-args`.

use super::names::ENVOY_ARGS;
use super::{Annotations, full};
use crate::consul::envoy_args::EnvoyArgs;
use crate::problem::Findings;
use crate::text::Quoted;

/// The arguments, which override the setting's. An empty value overrides them, too.
pub fn parse(annotations: &Annotations<'_>, findings: &mut Findings) -> Option<EnvoyArgs> {
    let written = annotations.get(ENVOY_ARGS)?;
    let args = match EnvoyArgs::parse(written) {
        Ok(args) => args,
        Err(flaws) => {
            let problems = flaws.into_iter().map(|flaw| flaw.at(full(ENVOY_ARGS)).value(written));
            findings.problems.extend(problems);
            return None;
        }
    };
    if let Some(stray) = args.strays().next() {
        findings.warn(format!(
            "{}: {} is neither an Envoy flag nor the value of one, so Envoy will not start; write a flag before it, or remove it",
            full(ENVOY_ARGS),
            Quoted(stray, 60)
        ));
    }
    Some(args)
}
