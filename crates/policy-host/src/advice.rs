//! Notes on settings that are valid, but probably not what was meant.

use serde_json::Value;

/// A container with a lower memory limit is killed when it runs Consul's CLI.
pub(crate) const CLI_MEMORY: f64 = (100 << 20) as f64;
/// The CPU time of a call of Consul's CLI, in seconds.
const CLI_SECONDS: f64 = 0.1;

/// Notes on the settings, each one with what to do about it.
pub fn advice(settings: &Value) -> Vec<String> {
    let mut notes = Vec::new();
    let is = |pointer: &str, expected: bool| {
        settings.pointer(pointer).and_then(Value::as_bool).is_some_and(|value| value == expected)
    };
    let written = |pointer: &str| {
        settings.pointer(pointer).is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
    };
    let dataplane = settings.get("mode").and_then(Value::as_str) == Some("dataplane");
    for key in ["imageConsul", "imageEnvoy", "imageK8S", "imageConsulDataplane"] {
        if let Some(image) = settings.get(key).and_then(Value::as_str)
            && is_floating(image)
        {
            notes.push(format!(
                "{key}: {image} is not a fixed version; write a tag with a version, or a digest"
            ));
        }
    }
    if is("/enabled", false) {
        notes.push("enabled: no pod is injected while it is false; set it to true, or remove it".to_owned());
    }
    let names = |key: &str| -> Vec<&str> {
        settings.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let (allowed, denied) = (names("k8sAllowNamespaces"), names("k8sDenyNamespaces"));
    if settings.get("k8sAllowNamespaces").is_some_and(Value::is_array) && allowed.is_empty() {
        notes.push(
            "k8sAllowNamespaces: an empty list allows no namespace; write [\"*\"] to allow all".to_owned(),
        );
    }
    if denied.contains(&"*") {
        notes.push(
            "k8sDenyNamespaces: * denies nothing; write names of namespaces, or set enabled: false to inject no pod".to_owned(),
        );
    }
    for name in allowed.iter().filter(|name| **name != "*" && denied.contains(name)) {
        notes.push(format!(
            "k8sDenyNamespaces: {name} is also in k8sAllowNamespaces, and is denied; remove it from one of them"
        ));
    }
    for name in allowed.iter().filter(|name| matches!(**name, "kube-system" | "kube-public")) {
        notes.push(format!("k8sAllowNamespaces: pods in {name} are never injected; remove it"));
    }
    // Keys that have no effect without another one: (key, pointer, switch, its pointer).
    for (key, pointer, switch, switch_pointer) in [
        ("tls.caCert", "/tls/caCert", "tls.enabled", "/tls/enabled"),
        ("tls.serverName", "/tls/serverName", "tls.enabled", "/tls/enabled"),
        ("acls.authMethod", "/acls/authMethod", "acls.enabled", "/acls/enabled"),
        (
            "consulNamespaces.mirroringK8SPrefix",
            "/consulNamespaces/mirroringK8SPrefix",
            "consulNamespaces.mirroringK8S",
            "/consulNamespaces/mirroringK8S",
        ),
        (
            "crossNamespaceACLPolicy",
            "/crossNamespaceACLPolicy",
            "enableConsulNamespaces",
            "/enableConsulNamespaces",
        ),
    ] {
        let by_default =
            dataplane && switch_pointer == "/consulNamespaces/mirroringK8S" && !written(switch_pointer);
        if written(pointer) && !is(switch_pointer, true) && !by_default {
            notes.push(format!("{key}: has no effect without {switch}: true"));
        }
    }
    let namespaces = settings.get("consulNamespaces").and_then(Value::as_object);
    if namespaces.is_some_and(|block| !block.is_empty()) && !is("/enableConsulNamespaces", true) {
        notes.push("consulNamespaces: has no effect without enableConsulNamespaces: true".to_owned());
    }
    if written("/centralConfig/defaultProtocol") && is("/centralConfig/enabled", false) {
        notes.push(
            "centralConfig.defaultProtocol: has no effect with centralConfig.enabled: false".to_owned(),
        );
    }
    // In dataplane mode no container runs Consul's CLI.
    let cli: &[&str] = if dataplane { &[] } else { &["initContainer", "lifecycleSidecar"] };
    for block in cli {
        let limit = settings.pointer(&format!("/{block}/resources/limits/memory"));
        if limit.and_then(quantity).is_some_and(|bytes| bytes < CLI_MEMORY) {
            notes.push(format!(
                "{block}.resources.limits.memory: Consul's CLI needs 85 MB, or it is killed; write 100Mi or more"
            ));
        }
        let limit = settings.pointer(&format!("/{block}/resources/limits/cpu")).and_then(quantity);
        if let Some(cores) = limit.filter(|cores| *cores > 0.0 && *cores < 0.25) {
            notes.push(format!(
                "{block}.resources.limits.cpu: with this limit, each call of Consul's CLI takes {:.1} s; write 500m or \
                 more, or remove it",
                CLI_SECONDS / cores
            ));
        }
    }
    if is("/nativeSidecars", false) {
        notes.push(
            "nativeSidecars: pods of Jobs never complete while it is false; with Kubernetes 1.29 or later, remove it"
                .to_owned(),
        );
    }
    notes
}

/// Whether the image has no digest, and either no tag or the tag `latest`.
fn is_floating(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    !image.is_empty() && !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// A quantity as a number: bytes or cores.
pub fn quantity(written: &Value) -> Option<f64> {
    let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "u" => 1e-6,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => f64::from(1 << 10),
        "Mi" => f64::from(1 << 20),
        "Gi" => f64::from(1 << 30),
        "Ti" => f64::from(1 << 20) * f64::from(1 << 20),
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_that_move_are_noted() {
        for (image, floating) in [
            ("consul", true),
            ("example.com:5000/consul", true),
            ("example.com:5000/consul:latest", true),
            ("consul:1.22.7", false),
            ("consul@sha256:00", false),
        ] {
            assert_eq!(!advice(&json!({ "imageConsul": image })).is_empty(), floating, "{image}");
        }
    }

    #[test]
    fn wise_settings_have_no_notes() {
        assert_eq!(advice(&json!({})), Vec::<String>::new());
        assert_eq!(
            advice(&json!({ "default": true, "acls": { "enabled": true, "authMethod": "m" } })).len(),
            0
        );
    }

    #[test]
    fn a_processor_limit_that_slows_the_command_line_is_noted() {
        let with = |limit: &str| json!({ "initContainer": { "resources": { "limits": { "cpu": limit } } } });
        let notes = advice(&with("50m"));
        assert!(notes.len() == 1 && notes[0].contains("takes 2.0 s"), "{notes:#?}");
        for limit in ["500m", "1", "0.25"] {
            assert_eq!(advice(&with(limit)), Vec::<String>::new(), "{limit}");
        }
    }

    #[test]
    fn dataplane_mode_has_notes_of_its_own() {
        let limits = json!({ "resources": { "limits": { "memory": "50Mi", "cpu": "50m" } } });
        let wise = json!({
            "mode": "dataplane", "initContainer": limits, "enableConsulNamespaces": true,
            "consulNamespaces": { "mirroringK8SPrefix": "k-" },
        });
        assert_eq!(advice(&wise), Vec::<String>::new());
        let notes =
            advice(&json!({ "mode": "dataplane", "imageConsulDataplane": "hashicorp/consul-dataplane" }));
        assert_eq!(notes.len(), 1, "{notes:#?}");
    }

    #[test]
    fn settings_without_effect_are_noted() {
        let notes = advice(&json!({
            "k8sAllowNamespaces": ["shop", "kube-system"], "k8sDenyNamespaces": ["shop"],
            "acls": { "authMethod": "m" }, "consulNamespaces": { "mirroringK8SPrefix": "k-" },
            "lifecycleSidecar": { "resources": { "limits": { "memory": "0.05Gi" } } },
        }));
        assert_eq!(notes.len(), 6, "{notes:#?}");
        let notes = advice(&json!({ "k8sAllowNamespaces": ["*"], "k8sDenyNamespaces": ["*"] }));
        assert!(notes.len() == 1 && notes[0].contains("denies nothing"), "{notes:#?}");
        let policy = json!({ "crossNamespaceACLPolicy": "p", "enableConsulNamespaces": true });
        assert_eq!(advice(&policy), Vec::<String>::new());
    }
}
