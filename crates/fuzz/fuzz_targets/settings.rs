//! Any bytes as settings. Where they are valid, a pod is answered under them.
#![no_main]

use consul_connect_injector::admission;
use consul_connect_injector_fuzz::{about, pod};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|settings: &[u8]| {
    match admission::validate_settings(settings).message {
        Some(message) => assert!(message.len() > 20, "{message}"),
        None => {
            // What valid settings hold may be more than this host's parser takes.
            let Ok(settings) = serde_json::from_slice::<Value>(settings) else { return };
            let pod = pod([("connect-inject", "true"), ("connect-service-upstreams", "db:2000")]);
            let answer = about(&pod.to_string(), &settings);
            let reason = answer["audit_annotations"]["connect-inject-reason"].as_str();
            assert!(reason.is_some_and(|reason| !reason.starts_with("invalid-settings")), "{answer}");
        }
    }
});
