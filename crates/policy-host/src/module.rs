//! Inspects a module before it runs: whether it is a policy, and the metadata that
//! `kwctl annotate` added.

use serde::Deserialize;
use wasmi::Module;

use crate::{error::LoadError, runner};

const METADATA_SECTION: &str = "io.kubewarden.metadata";
const GUEST_CALL: &str = "__guest_call";
/// The version and layer of a component, in the bytes where a module has its version.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];

/// The part of a policy's metadata that determines how it is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The runtime that the policy was built for.
    pub execution_mode: Option<String>,
    /// The version of Kubewarden's protocol. `kwctl annotate` gets it from the policy; a
    /// policy server does not load a module without it.
    pub protocol_version: Option<String>,
}

/// Reads a module and checks that it is a policy that this host can run, so that a wrong
/// file gets a clear error. Returns no metadata if the policy is not annotated.
pub(crate) fn inspect(wasm: &[u8]) -> Result<(Module, Option<Metadata>), LoadError> {
    if wasm.is_empty() {
        return Err(LoadError::NotWasm("the file is empty".to_owned()));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm("it does not start with the bytes `\\0asm`".to_owned()));
    }
    if wasm.get(4..8) == Some(COMPONENT) {
        return Err(LoadError::NotPolicy(
            "it is a WebAssembly component; build it for wasm32-wasip1".to_owned(),
        ));
    }
    let module = runner::parse(wasm).map_err(|error| LoadError::NotWasm(error.to_string()))?;
    let mut sections = module.custom_sections().filter(|section| section.name() == METADATA_SECTION);
    let metadata: Option<Metadata> = sections
        .next()
        .map(|section| serde_json::from_slice(section.data()))
        .transpose()
        .map_err(LoadError::Metadata)?;
    if let Some(Metadata { execution_mode: Some(mode), .. }) = &metadata
        && mode != "kubewarden-wapc"
    {
        return Err(LoadError::ExecutionMode(mode.clone()));
    }
    if module.get_export(GUEST_CALL).is_none() {
        return Err(LoadError::NotPolicy(format!("it does not export `{GUEST_CALL}`")));
    }
    drop(sections);
    Ok((module, metadata))
}
