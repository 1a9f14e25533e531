//! The summary of a response.

use std::collections::BTreeSet;

use policy_host::{AdmissionResponse, Review, manifest::Case};
use serde_json::Value;

use super::style::{self, Screen, paint};

/// The audit annotation with which the policy states its reason.
const REASON: &str = "connect-inject-reason";
const ANNOTATIONS: &str = "consul.hashicorp.com/";
const LABEL_WIDTH: usize = 12;

/// The outcome of one request.
pub fn of(screen: &Screen, case: &Case, review: &Review, change: Option<(&Value, &Value)>) -> String {
    let response = &review.response;
    let mut rows = Rows { text: String::new(), screen };
    let changed = change.is_some_and(|(before, after)| before != after);
    if response.allowed && !changed && response.warnings.iter().flatten().next().is_none() {
        rows.nothing_to_tell(case, response);
        return rows.text;
    }
    rows.headline(case, review, change);
    rows.audit(response);
    if let Some(note) = case.note {
        rows.plain("note", note);
    }
    if let Some((before, after)) = change.filter(|_| response.allowed) {
        rows.injection(before, after);
    }
    for warning in response.warnings.iter().flatten() {
        rows.row("warning", warning, style::CARE);
    }
    if let Some(failure) = &review.failure {
        rows.row("problem", &failure.to_string(), style::BAD);
    } else if !response.allowed {
        let message = response.message().unwrap_or("(the policy gave no reason)");
        rows.row("problem", message, style::BAD);
    }
    rows.text
}

struct Rows<'a> {
    text: String,
    screen: &'a Screen,
}

impl Rows<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn headline(&mut self, case: &Case, review: &Review, change: Option<(&Value, &Value)>) {
        let response = &review.response;
        let changed = change.is_some_and(|(before, after)| before != after);
        let injected = change.is_some_and(|(before, after)| !added(before, after).is_empty());
        let (mark, color, outcome) = match (response.allowed, injected, changed) {
            (false, ..) if review.failure.is_some() => ('✗', style::BAD, "no answer"),
            (false, ..) => ('✗', style::BAD, "rejected"),
            (true, true, _) => ('✓', style::GOOD, "injected"),
            (true, false, true) => ('✓', style::GOOD, "changed"),
            (true, false, false) => ('·', style::FAINT, "accepted unchanged"),
        };
        let code = response
            .status
            .as_ref()
            .and_then(|status| status.code)
            .filter(|_| !response.allowed && review.failure.is_none())
            .map_or(String::new(), |code| format!(" ({code})"));
        let origin = case
            .template_of
            .as_ref()
            .map_or(String::new(), |workload| paint(style::FAINT, format!("  the pod of {workload}")));
        self.line(&format!(
            "{} {} {}{origin}",
            paint(color, mark),
            style::strong(&case.title),
            paint(color, format!("{outcome}{code}")),
        ));
    }

    /// One line, for an object that was accepted unchanged.
    fn nothing_to_tell(&mut self, case: &Case, response: &AdmissionResponse) {
        let mut line = format!("· {} accepted unchanged", case.title);
        let reason = || response.audit_annotations.as_ref()?.get(REASON).map(String::as_str);
        // For objects other than pods, the note is more useful than the reason.
        if let Some(why) = case.note.or_else(reason) {
            line.push_str(": ");
            line.push_str(why);
        }
        if let Some(workload) = &case.template_of {
            line.push_str("  the pod of ");
            line.push_str(workload);
        }
        self.line(&paint(style::FAINT, self.screen.cut(&line)));
    }

    /// A label and its text, whose further lines are indented.
    fn row(&mut self, label: &str, text: &str, color: anstyle::Style) {
        let wrapped = self.screen.wrap(text, LABEL_WIDTH + 2);
        for (index, line) in wrapped.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let label = paint(style::FAINT, format!("{label:LABEL_WIDTH$}"));
            self.line(&format!("  {label}{}", paint(color, line)));
        }
    }

    fn plain(&mut self, label: &str, text: &str) {
        self.row(label, text, anstyle::Style::new());
    }

    fn audit(&mut self, response: &AdmissionResponse) {
        let annotations = response.audit_annotations.iter().flatten();
        let (reason, others): (Vec<_>, Vec<_>) = annotations.partition(|(key, _)| *key == REASON);
        for (_, reason) in reason {
            self.plain("reason", reason);
        }
        for (key, value) in others {
            self.plain("audit", &format!("{key}: {value}"));
        }
    }

    fn injection(&mut self, before: &Value, after: &Value) {
        let containers = added(before, after);
        if containers.is_empty() {
            return;
        }
        let annotation = |name: &str| {
            after
                .pointer("/metadata/annotations")?
                .get(format!("{ANNOTATIONS}{name}"))?
                .as_str()
                .filter(|value| !value.is_empty())
        };
        if let Some(service) = annotation("connect-service") {
            self.plain("service", service);
            let port = annotation("connect-service-port");
            self.plain("port", port.unwrap_or("none: it only calls others"));
        }
        if let Some(upstreams) = annotation("connect-service-upstreams") {
            let list: Vec<_> = upstreams.split(',').map(str::trim).collect();
            self.plain("upstreams", &list.join("\n"));
        }
        let width = containers.iter().map(|container| container.name.len()).max().unwrap_or_default();
        let list: Vec<_> = containers
            .iter()
            .map(|container| format!("{:width$}  {:9}  {}", container.name, container.role, container.image))
            .collect();
        self.plain("containers", &list.join("\n"));
        let variables = added_variables(before, after);
        if !variables.is_empty() {
            let list: Vec<_> = variables.into_iter().collect();
            self.plain("variables", &list.join("\n"));
        }
    }
}

struct Container<'a> {
    name: &'a str,
    image: &'a str,
    role: &'static str,
}

/// The containers that the policy added.
fn added<'a>(before: &Value, after: &'a Value) -> Vec<Container<'a>> {
    ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| {
            let known: BTreeSet<_> = containers(before, list).filter_map(name).collect();
            containers(after, list).filter_map(move |container| {
                let own = name(container)?;
                (!known.contains(own)).then(|| Container {
                    name: own,
                    image: container["image"].as_str().unwrap_or_default(),
                    role: match (list, container["restartPolicy"].as_str()) {
                        ("initContainers", Some("Always")) => "sidecar",
                        ("initContainers", _) => "init",
                        _ => "container",
                    },
                })
            })
        })
        .collect()
}

/// `NAME=value` of the variables added to the object's own containers.
fn added_variables(before: &Value, after: &Value) -> BTreeSet<String> {
    let mut variables = BTreeSet::new();
    for list in ["initContainers", "containers"] {
        for old in containers(before, list) {
            let Some(new) = containers(after, list).find(|new| name(new) == name(old)) else {
                continue;
            };
            let known: BTreeSet<_> = variables_of(old).filter_map(name).collect();
            variables.extend(variables_of(new).filter_map(|variable| {
                let name = name(variable).filter(|name| !known.contains(name))?;
                Some(format!("{name}={}", variable["value"].as_str().unwrap_or("…")))
            }));
        }
    }
    variables
}

fn containers<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    let list = pod.pointer(&format!("/spec/{list}")).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn variables_of(container: &Value) -> impl Iterator<Item = &Value> {
    let list = container.get("env").and_then(Value::as_array);
    list.into_iter().flatten()
}

fn name(value: &Value) -> Option<&str> {
    value.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use policy_host::manifest;
    use serde_json::json;

    use super::*;

    fn summary(response: AdmissionResponse, change: Option<(&Value, &Value)>) -> String {
        noted(response, change, None)
    }

    fn noted(
        response: AdmissionResponse,
        change: Option<(&Value, &Value)>,
        note: Option<&'static str>,
    ) -> String {
        let review = Review { response, failure: None };
        let screen = Screen { verbose: false, width: None };
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" } });
        let mut case = manifest::cases(vec![pod], &manifest::Options::default()).unwrap().remove(0);
        case.note = note;
        anstream::adapter::strip_str(&of(&screen, &case, &review, change)).to_string()
    }

    #[test]
    fn an_injection_is_summarized_in_a_few_lines() {
        let before = json!({ "spec": { "containers": [{ "name": "web", "env": [{ "name": "A" }] }] } });
        let after = json!({
            "metadata": { "annotations": {
                "consul.hashicorp.com/connect-service": "web",
                "consul.hashicorp.com/connect-service-upstreams": "db:1234, cache:1235",
            }},
            "spec": {
                "initContainers": [
                    { "name": "setup", "image": "consul:1" },
                    { "name": "proxy", "image": "envoy:1", "restartPolicy": "Always" },
                ],
                "containers": [{ "name": "web", "env": [
                    { "name": "DB_CONNECT_SERVICE_PORT", "value": "1234" }, { "name": "A" }] }],
            },
        });
        let response = AdmissionResponse {
            allowed: true,
            audit_annotations: Some([(REASON.to_owned(), "it asks".to_owned())].into()),
            warnings: Some(vec!["look out".to_owned()]),
            ..AdmissionResponse::default()
        };
        assert_eq!(
            summary(response, Some((&before, &after))),
            "✓ Pod default/web injected\n\
             \x20 reason      it asks\n\
             \x20 service     web\n\
             \x20 port        none: it only calls others\n\
             \x20 upstreams   db:1234\n\
             \x20             cache:1235\n\
             \x20 containers  setup  init       consul:1\n\
             \x20             proxy  sidecar    envoy:1\n\
             \x20 variables   DB_CONNECT_SERVICE_PORT=1234\n\
             \x20 warning     look out\n"
        );
    }

    #[test]
    fn an_unchanged_object_takes_one_line() {
        let response = AdmissionResponse {
            allowed: true,
            audit_annotations: Some([(REASON.to_owned(), "not the creation of a pod".to_owned())].into()),
            ..AdmissionResponse::default()
        };
        let expected = "· Pod default/web accepted unchanged: not the creation of a pod\n";
        assert_eq!(summary(response.clone(), Some((&json!({}), &json!({})))), expected);
        assert_eq!(
            noted(response, Some((&json!({}), &json!({}))), Some("its pods are seen")),
            "· Pod default/web accepted unchanged: its pods are seen\n"
        );
    }

    #[test]
    fn a_rejection_shows_every_line() {
        let response: AdmissionResponse = serde_json::from_value(json!({
            "uid": "", "allowed": false, "status": { "message": "two problems\n- a\n- b", "code": 422 },
        }))
        .unwrap();
        assert_eq!(
            summary(response, None),
            "✗ Pod default/web rejected (422)\n\
             \x20 problem     two problems\n\
             \x20             - a\n\
             \x20             - b\n"
        );
    }
}
