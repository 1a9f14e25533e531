//! The variables by which the user's containers find their upstreams.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector};

use crate::consul::registration::{EnvText, LOOPBACK};
use crate::consul::upstream::Upstream;
use crate::problem::{Quoted, Warning};

/// `<NAME>_CONNECT_SERVICE_HOST` and `_PORT` for every upstream.
pub fn upstream_variables(upstreams: &[Upstream]) -> (Vec<(String, String)>, Vec<Warning>) {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut warnings = Vec::new();
    for upstream in upstreams {
        let plain = variable_name(&upstream.written_name());
        let taken = |name: &str| variables.iter().any(|(known, _)| *known == host(name));
        let name = match &upstream.datacenter {
            Some(datacenter) if taken(&plain) => format!("{plain}_{}", letters(datacenter)),
            _ => plain,
        };
        if taken(&name) {
            warnings.push(Warning::new(&format!(
                "upstream {}: the variables {}_CONNECT_SERVICE_HOST and _PORT are an earlier upstream's; use the address {LOOPBACK}:{} for this one",
                Quoted(upstream.name.as_str(), 50),
                name.get(..60).unwrap_or(&name),
                upstream.port
            )));
            continue;
        }
        variables.push((host(&name), LOOPBACK.to_owned()));
        variables.push((format!("{name}_CONNECT_SERVICE_PORT"), upstream.port.to_string()));
    }
    (variables, warnings)
}

fn host(name: &str) -> String {
    format!("{name}_CONNECT_SERVICE_HOST")
}

fn variable_name(written: &str) -> String {
    let name = letters(written);
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn letters(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// A variable with a value of the policy's own making.
pub fn value(name: &str, value: EnvText) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into_inner()), ..EnvVar::default() }
}

/// A variable that the kubelet fills in from the pod.
///
/// <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>
pub fn field(name: &str, path: &str) -> EnvVar {
    let field_ref = ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() };
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() }),
        ..EnvVar::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consul::upstream::parse_list;
    use crate::pod::Ports;

    fn names(upstreams: &str) -> (Vec<String>, usize) {
        let mut problems = Vec::new();
        let upstreams = parse_list("u", upstreams, &Ports::default(), false, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let (variables, warnings) = upstream_variables(&upstreams);
        let ports = variables.iter().filter_map(|(name, value)| {
            Some(format!("{}={value}", name.strip_suffix("_CONNECT_SERVICE_PORT")?))
        });
        (ports.collect(), warnings.len())
    }

    #[test]
    fn names_are_what_a_shell_can_read() {
        assert_eq!(names("my-svc.far:1,prepared_query:geo:2,0day:3").0, ["MY_SVC_FAR=1", "GEO=2", "_0DAY=3"]);
    }

    #[test]
    fn one_service_in_two_datacenters() {
        assert_eq!(names("db:1,db:2:dc-2"), (vec!["DB=1".into(), "DB_DC_2=2".into()], 0));
        assert_eq!(names("db:1:dc1,db:2"), (vec!["DB=1".into()], 1));
        assert_eq!(names("a-b:1,a.b:2"), (vec!["A_B=1".into()], 1));
    }
}
