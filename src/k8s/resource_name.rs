//! The names of a container's resources.
//!
//! <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>

use super::is_dns_label;
use crate::consul::is_word;
use crate::nearest::nearest;

const KNOWN: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// What to write instead of a name that no container's resource has.
pub fn remedy(name: &str) -> Option<String> {
    if is_known(name) {
        return None;
    }
    Some(match nearest(name, KNOWN) {
        Some(known) => format!("did you mean {known}?"),
        None => {
            "write cpu, memory, ephemeral-storage, hugepages-2Mi or a name such as example.com/name".into()
        }
    })
}

fn is_known(name: &str) -> bool {
    if let Some((vendor, own)) = name.split_once('/') {
        return name.len() <= 253 && vendor.split('.').all(is_dns_label) && is_word(own, 63, b"-_.");
    }
    let size = name.strip_prefix("hugepages-").and_then(|size| size.strip_suffix("i"));
    let size = size.and_then(|size| size.strip_suffix(['K', 'M', 'G']));
    let is_number = |size: &str| !size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit());
    KNOWN.contains(&name) || size.is_some_and(|size| !size.is_empty() && is_number(size))
}

/// Whether a container gets exactly what it requests: huge pages and devices.
pub fn is_counted(name: &str) -> bool {
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
            assert!(is_known(name), "{name}");
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
            assert!(!is_known(name), "{name}");
        }
        assert_eq!(remedy("Memory").as_deref(), Some("did you mean memory?"));
        assert!(is_counted("nvidia.com/gpu") && is_counted("hugepages-2Mi"));
        assert!(!is_counted("memory") && !is_counted("example.kubernetes.io/x"));
    }
}
