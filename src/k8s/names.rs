//! Names that Kubernetes accepts: of namespaces, and of a container's resources.
//!
//! <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>

use crate::nearest::nearest;
use crate::text::is_word;

/// Whether a name is a DNS label, such as the name of a namespace.
pub fn is_dns_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
}

/// Whether a name is a DNS name of lower-case labels.
pub fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

const KNOWN: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// What to write instead of an unknown resource; `None` if the name is valid.
pub fn resource_remedy(name: &str) -> Option<String> {
    if is_resource(name) {
        return None;
    }
    Some(match nearest(name, KNOWN) {
        Some(known) => format!("did you mean {known}?"),
        None => {
            "write cpu, memory, ephemeral-storage, hugepages-2Mi or a name such as example.com/device".into()
        }
    })
}

fn is_resource(name: &str) -> bool {
    if let Some((vendor, own)) = name.split_once('/') {
        return name.len() <= 253 && is_dns_subdomain(vendor) && is_word(own, 63, b"-_.");
    }
    let size = name.strip_prefix("hugepages-").and_then(|size| size.strip_suffix("i"));
    let size = size.and_then(|size| size.strip_suffix(['K', 'M', 'G']));
    let is_number = |size: &str| !size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit());
    KNOWN.contains(&name) || size.is_some_and(|size| !size.is_empty() && is_number(size))
}

/// Whether Kubernetes requires the request to equal the limit: huge pages and devices.
pub fn is_counted_resource(name: &str) -> bool {
    name.starts_with("hugepages-") || (name.contains('/') && !name.contains("kubernetes.io/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_kubernetes_takes_them() {
        for name in [
            "cpu",
            "memory",
            "ephemeral-storage",
            "hugepages-2Mi",
            "hugepages-64Ki",
            "nvidia.com/gpu",
            "a/B_c.d",
        ] {
            assert!(is_resource(name), "{name}");
        }
        for name in [
            "",
            "CPU",
            "storage",
            "requests.cpu",
            "hugepages-",
            "hugepages-i",
            "hugepages-Mi",
            "hugepages-02Mi",
            "hugepages-2MB",
            "hugepages-+2Mi",
            "/gpu",
            "nvidia.com/",
            "a/b/c",
            "A.com/b",
            "a..b/c",
            "a/-b",
            "a b",
        ] {
            assert!(!is_resource(name), "{name}");
        }
        assert_eq!(resource_remedy("Memory").as_deref(), Some("did you mean memory?"));
        assert!(is_counted_resource("nvidia.com/gpu") && is_counted_resource("hugepages-2Mi"));
        assert!(!is_counted_resource("memory") && !is_counted_resource("example.kubernetes.io/x"));
    }
}
