//! The annotation `envoy-extra-args`.

use super::names::ENVOY_ARGS;
use super::{Annotations, full};
use crate::consul::envoy_args::EnvoyArgs;
use crate::problem::Findings;
use crate::text::Quoted;

/// The arguments that replace those of the setting; an empty value replaces them by none.
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
            "{}: {} is neither a flag of Envoy's nor the value of one, so that Envoy will not start; write a flag before it, or leave it out",
            full(ENVOY_ARGS),
            Quoted(stray, 60)
        ));
    }
    Some(args)
}
