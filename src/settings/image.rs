//! References to container images: `[registry[:port]/]path[:tag][@digest]`.
//!
//! <https://github.com/distribution/reference> has the grammar.

/// Why `reference` is no image reference, if it is none.
pub fn flaw(reference: &str) -> Option<&'static str> {
    if reference.is_empty() {
        return Some("is empty");
    }
    if reference.len() > 512 {
        return Some("is longer than 512 bytes");
    }
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Some("has a digest that is not of the form sha256:<64 hexadecimal digits>");
    }
    let slash = rest.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    let (name, tag) = match rest.get(slash..).and_then(|last| last.split_once(':')) {
        Some((last, tag)) => {
            let end = slash.saturating_add(last.len());
            (rest.get(..end).unwrap_or_default(), Some(tag))
        }
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Some("has a tag with characters that a tag cannot have");
    }
    let path = match name.split_once('/') {
        Some((registry, path))
            if registry.contains(['.', ':']) || registry == "localhost" || registry.starts_with('[') =>
        {
            if !is_registry(registry) {
                return Some("has a registry that is not of the form host[:port]");
            }
            path
        }
        _ => name,
    };
    if !path.split('/').all(is_component) {
        return Some("has a path that is not of lower-case letters, digits, '.', '_', '-' and '/'");
    }
    None
}

fn is_registry(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let host_fine = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
        }
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }),
    };
    // A number would be read with a sign, too.
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok();
    host_fine && port.is_none_or(is_port)
}

fn is_component(component: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    ends(component.bytes().next())
        && ends(component.bytes().last())
        && component
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_tag(tag: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&tag.len()) && !tag.starts_with(['.', '-']) && tag.bytes().all(allowed)
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::flaw;

    #[test]
    fn references_in_every_form() {
        let digest = "a".repeat(64);
        for reference in [
            "consul",
            "hashicorp/consul:1.22.7",
            "envoyproxy/envoy-alpine:v1.16.0",
            "registry.example.com:5000/mesh/consul:1.22.7-ent_fips",
            "localhost/consul",
            "[fd00::1]:5000/consul:1",
            &format!("hashicorp/consul@sha256:{digest}"),
            &format!("hashicorp/consul:1.22@sha256:{digest}"),
        ] {
            assert_eq!(flaw(reference), None, "{reference}");
        }
    }

    #[test]
    fn what_is_no_reference() {
        for reference in [
            "",
            " ",
            "consul ",
            "Consul",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:b:c",
            "a:-x",
            "a@sha256:12",
            "a b",
            "-a",
            "a$(x)",
            "host.com:99999/a",
            "a.b-.c:1/x",
        ] {
            assert!(flaw(reference).is_some(), "{reference:?}");
        }
    }
}
