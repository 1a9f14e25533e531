//! References to container images: `[registry[:port]/]path[:tag][@digest]`.
//!
//! <https://github.com/distribution/reference> has the grammar.

/// What is wrong with `reference`, if it is not an image reference.
pub fn flaw(reference: &str) -> Option<&'static str> {
    if reference.is_empty() {
        return Some("must not be empty");
    }
    if reference.len() > 512 {
        return Some("must be no more than 512 bytes");
    }
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Some("the digest must have the form sha256:<64 hexadecimal digits>");
    }
    let (name, tag) = name_and_tag(rest);
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Some("the tag must consist of letters, digits, '.', '_' and '-'");
    }
    let path = match name.split_once('/') {
        Some((registry, path))
            if registry.contains(['.', ':']) || registry == "localhost" || registry.starts_with('[') =>
        {
            if !is_registry(registry) {
                return Some("the registry must have the form host[:port]");
            }
            path
        }
        _ => name,
    };
    if !path.split('/').all(is_component) {
        return Some("the path must consist of lower-case letters, digits, '.', '_', '-' and '/'");
    }
    None
}

/// Splits a reference without a digest into name and tag.
fn name_and_tag(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        // Otherwise it is the port of the registry.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    }
}

/// The tag of a reference.
pub fn tag(reference: &str) -> Option<&str> {
    let (rest, _) = reference.split_once('@').unwrap_or((reference, ""));
    name_and_tag(rest).1
}

/// The release in a tag; some features depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    pub major: u32,
    pub minor: u32,
}

impl Release {
    /// The first Envoy that can read a token from a file.
    ///
    /// <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/credential_injector_filter>
    pub const CREDENTIAL_INJECTOR: Self = Release { major: 1, minor: 34 };

    /// Of Envoy's own images and of copies that keep their names: `v1.36.4`,
    /// `distroless-v1.34-latest`.
    pub fn of_envoy(reference: &str) -> Option<Self> {
        Self::of("envoy", reference)
    }

    /// Of an image whose name has `product` in it.
    pub fn of(product: &str, reference: &str) -> Option<Self> {
        let (rest, _) = reference.split_once('@').unwrap_or((reference, ""));
        let (name, tag) = name_and_tag(rest);
        let (_, last) = name.rsplit_once('/').unwrap_or(("", name));
        if !last.contains(product) {
            return None;
        }
        tag?.split('-').find_map(Self::parse)
    }

    /// Of a version such as `1.36.4`.
    pub fn parse(version: &str) -> Option<Self> {
        let mut numbers =
            version.strip_prefix('v').unwrap_or(version).split('.').map(|part| {
                part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()
            });
        Some(Self { major: numbers.next()??, minor: numbers.next()?? })
    }
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
    // `parse` accepts a sign.
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
    use super::{Release, flaw};

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
    fn invalid_references() {
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
    #[test]
    fn the_release_of_an_envoy() {
        let digest = "a".repeat(64);
        for (reference, expected) in [
            ("envoyproxy/envoy:v1.36.4", Some((1, 36))),
            ("envoyproxy/envoy:distroless-v1.34.0", Some((1, 34))),
            ("envoyproxy/envoy:contrib-distroless-v1.34-latest", Some((1, 34))),
            ("registry.example.com:5000/mesh/envoy-fips:1.33.2-corp", Some((1, 33))),
            (&format!("envoy:v1.35.0@sha256:{digest}"), Some((1, 35))),
            (&format!("envoyproxy/envoy@sha256:{digest}"), None),
            ("localhost:5000/envoy", None),
            ("envoyproxy/envoy:latest", None),
            ("envoyproxy/envoy:v1", None),
            ("envoyproxy/envoy:v1.+34", None),
            ("envoyproxy/envoy:v1.99999999999", None),
            ("example.com/mesh/proxy:1.36.4", None),
        ] {
            let release = Release::of_envoy(reference).map(|release| (release.major, release.minor));
            assert_eq!(release, expected, "{reference}");
        }
        let (older, newer) = (Release { major: 1, minor: 9 }, Release { major: 1, minor: 34 });
        assert!(older < newer && newer < Release { major: 2, minor: 0 });
    }
}
