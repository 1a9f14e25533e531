//! Any bytes as settings. With valid settings, a pod must get an answer.
#![no_main]

use consul_connect_injector::admission;
use consul_connect_injector_fuzz::about;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use soak::sample;

fuzz_target!(|settings: &[u8]| {
    match admission::validate_settings(settings).0.message {
        Some(message) => assert!(message.len() > 20, "{message}"),
        None => {
            let settings: Value = serde_json::from_slice(settings).expect("valid settings are JSON");
            let answer = about(&sample::pod(sample::ANNOTATIONS), &settings);
            assert_ne!(answer.reason(), "invalid-settings", "{answer:?}");
        }
    }
});
