//! Any string as each kind of value in annotations and settings.
#![no_main]

use consul_connect_injector::admission;
use consul_connect_injector::consul::duration::Millis;
use consul_connect_injector::consul::envoy_args::EnvoyArgs;
use consul_connect_injector::consul::service_name::ServiceName;
use consul_connect_injector::k8s::quantity::Quantity;
use consul_connect_injector::text::Quoted;
use consul_connect_injector::warning::Warning;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    if let Some(duration) = Millis::parse_go(text) {
        // As written for Consul, in whole milliseconds.
        assert_eq!(Millis::parse_go(&format!("{}ms", duration.0)), Some(duration));
    }
    if let Ok(quantity) = text.parse::<Quantity>() {
        assert!(quantity.as_str() == text && !quantity.exceeds(&quantity));
    }
    if let Ok(name) = ServiceName::parse(text) {
        assert!(name.as_str() == text && text.is_ascii());
    }
    if let Ok(arguments) = EnvoyArgs::parse(text) {
        assert!(!arguments.has("--config-path") && !arguments.has("--config-yaml"));
    }
    assert!(!Quoted(text, 100).to_string().chars().any(char::is_control));
    assert!(!Warning::new(text).as_str().chars().any(char::is_control));
    for settings in [
        json!({ "tls": { "enabled": true, "caCert": text } }),
        json!({ "imageConsul": text, "imageEnvoy": text, "syncPeriod": text, "envoyExtraArgs": text }),
    ] {
        let _ = admission::validate_settings(settings.to_string().as_bytes());
    }
});
