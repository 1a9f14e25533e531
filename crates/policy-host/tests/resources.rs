//! The resources of the injected containers in docs/resources.md, and its settings for quotas,
//! limit ranges and the class `Guaranteed`.

mod support;

use policy_host::{advice::quantity, documents, manifest};
use serde_json::{Value, json};
use support::project::{policy, read};

/// The injected containers with these settings: name and resources.
fn injected(settings: &Value) -> Vec<(String, Value)> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "web", "annotations": { "consul.hashicorp.com/connect-inject": "true" } },
        "spec": { "containers": [{ "name": "web", "image": "web:1", "ports": [{ "containerPort": 8080 }] }] },
    });
    let case = manifest::cases(vec![pod], &manifest::Options::default()).unwrap().remove(0);
    let before = case.request.object.clone().unwrap();
    let after = policy().review(&case.request, settings).response.patched(&before).unwrap();
    let containers = after["spec"]["initContainers"].as_array().unwrap();
    assert_eq!(containers.len(), 3);
    let of =
        |container: &Value| (container["name"].as_str().unwrap().to_owned(), container["resources"].clone());
    containers.iter().map(of).collect()
}

/// The settings in a section of the page.
fn settings_under(heading: &str) -> Value {
    let page = read("docs/resources.md");
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let (_, block) = section.split_once("```yaml\n").unwrap();
    documents::parse_one(block.split("```").next().unwrap()).unwrap()
}

/// Request and limit of each container's CPU and memory.
fn bounds(settings: &Value) -> Vec<(String, f64, f64)> {
    injected(settings)
        .into_iter()
        .flat_map(|(container, resources)| {
            ["cpu", "memory"].map(|resource| {
                let [request, limit] = ["requests", "limits"].map(|kind| {
                    let amount = quantity(&resources[kind][resource]);
                    amount.unwrap_or_else(|| panic!("{container} has no {kind} of {resource}"))
                });
                (format!("{resource} of {container}"), request, limit)
            })
        })
        .collect()
}

#[test]
fn the_table_has_the_default_resources() {
    let page = read("docs/resources.md");
    for (container, resources) in injected(&json!({})) {
        let text = |kind: &str| {
            let of = |resource: &str, name: &str| {
                Some(format!("{} {name}", resources[kind].get(resource)?.as_str()?))
            };
            let amounts: Vec<_> = [of("cpu", "CPU"), of("memory", "memory")].into_iter().flatten().collect();
            if amounts.is_empty() { "none".to_owned() } else { amounts.join(", ") }
        };
        let row = format!("| `{container}` | {} | {} |", text("requests"), text("limits"));
        assert!(page.contains(&row), "docs/resources.md lacks {row}");
    }
}

#[test]
fn a_quota_on_limits_finds_one_in_every_container() {
    assert_eq!(bounds(&settings_under("ResourceQuota")).len(), 6);
}

#[test]
fn the_limit_range_is_kept() {
    for (what, request, limit) in bounds(&settings_under("LimitRange")) {
        let range = if what.starts_with("cpu") { ["50m", "1"] } else { ["64Mi", "256Mi"] };
        let [least, most] = range.map(|bound| quantity(&json!(bound)).unwrap());
        assert!(least <= request && request <= limit && limit <= most, "{what}: {request} {limit}");
        assert!(limit <= 4.0 * request, "{what}: {request} {limit}");
    }
}

/// The API server's rule: every container has limits and equal requests.
#[test]
fn a_guaranteed_pod_stays_so() {
    for (what, request, limit) in bounds(&settings_under("Guaranteed QoS")) {
        assert_eq!(request, limit, "{what}");
    }
}
