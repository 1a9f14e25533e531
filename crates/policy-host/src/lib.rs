//! Runs a Kubewarden policy as the policy server does, without a cluster.
//!
//! A policy is a WebAssembly module that speaks [waPC]: the host calls
//! `validate` or `validate_settings` with a payload and gets a response. This crate loads a module once and calls it in a fresh
//! instance each time, as the policy server does, so that requests do not
//! share state.
//!
//! ```no_run
//! use policy_host::{AdmissionRequest, Policy};
//! use serde_json::json;
//!
//! let policy = Policy::from_path("policy.wasm")?;
//! let settings = json!({ "default": true });
//! assert!(policy.validate_settings(&settings)?.valid);
//!
//! let review = std::fs::read_to_string("review.json")?;
//! let request = AdmissionRequest::from_review(serde_json::from_str(&review)?)?;
//! let response = policy.review(&request, &settings).response;
//! println!("{}", serde_json::to_string(&response)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`Policy`] loads and calls a module; [`Policy::call`] accepts any payload.
//! * [`AdmissionRequest`] and [`AdmissionResponse`] are the input and output of a review.
//! * [`manifest`] builds requests from Kubernetes manifests.
//! * [`server`] serves policies to an API server over HTTPS.
//!
//! [waPC]: https://wapc.io

pub mod advice;
pub mod against;
pub mod documents;
mod error;
pub mod helm;
mod log;
pub mod manifest;
mod module;
pub mod policies;
mod policy;
mod request;
mod response;
mod runner;
pub mod server;
mod wapc;
mod wasi;
pub mod workload;

pub use error::{CallError, LoadError, RequestError};
pub use log::{Level, LogEntry, LogSink, Logs};
pub use module::Metadata;
pub use policy::{Observation, Policy, PolicyBuilder, Review};
pub use request::{AdmissionRequest, GroupVersionKind, GroupVersionResource, UserInfo};
pub use response::{
    AdmissionResponse, AdmissionStatus, PatchError, PatchType, PolicyAnswer, SettingsAnswer, StatusCause,
    StatusDetails,
};
