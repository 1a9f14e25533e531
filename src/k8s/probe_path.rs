//! The URL path of an HTTP probe, as the kubelet builds it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// Characters that Go escapes in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// Characters that Go escapes even in a path that is already escaped.
const ALWAYS_ESCAPED: &AsciiSet = &ESCAPED
    .remove(b'%')
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'[')
    .remove(b']');

/// The path and query that the kubelet requests. It parses a probe's path as a URL and uses only
/// path and query; a text that is not a URL is used as the path.
pub fn path_and_query(written: &str) -> String {
    let (path, query) = parse(written).unwrap_or_else(|| (escape(written.as_bytes()), ""));
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{slash}{path}{query}")
}

/// The path and query that Go's `url.Parse` finds in `written`; `None` if it returns an error. The
/// query includes its question mark.
fn parse(written: &str) -> Option<(String, &str)> {
    if written.bytes().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let (url, fragment) = written.split_once('#').unwrap_or((written, ""));
    if !has_valid_escapes(fragment) {
        return None;
    }
    let (mut path, query) = url.split_at_checked(url.find('?').unwrap_or(url.len()))?;
    let scheme = path.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
    if let Some((_, rest)) = scheme {
        path = rest;
    }
    let first = path.split('/').next().unwrap_or_default();
    if (scheme.is_some() && !path.starts_with('/')) || first.contains(':') {
        return None;
    }
    if scheme.is_some() || !path.starts_with("///") {
        // The kubelet replaces the host with the pod's address.
        if let Some(authority) = path.strip_prefix("//") {
            path = authority.split_at_checked(authority.find('/').unwrap_or(authority.len()))?.1;
        }
    }
    if !has_valid_escapes(path) {
        return None;
    }
    if percent_encode(path.as_bytes(), ALWAYS_ESCAPED).to_string() == path {
        return Some((path.to_owned(), query));
    }
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    Some((escape(&decoded), query))
}

fn is_scheme(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(fits)
}

/// Whether two hexadecimal digits follow every percent sign.
fn has_valid_escapes(text: &str) -> bool {
    let is_escape =
        |part: &str| part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(is_escape)
}

fn escape(bytes: &[u8]) -> String {
    percent_encode(bytes, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_as_the_kubelet_sends_them() {
        for (path, url) in [
            // What Go's `url.Parse` and `URL.RequestURI` make of each.
            ("", "/"),
            ("?a", "/?a"),
            ("/a?", "/a?"),
            ("/a b", "/a%20b"),
            ("/é\"{}|", "/%C3%A9%22%7B%7D%7C"),
            ("/a\nb", "/a%0Ab"),
            ("/health?threshold=90%", "/health?threshold=90%"),
            ("/a%20b?c=%zz", "/a%20b?c=%zz"),
            ("/a?x=é", "/a?x=é"),
            ("/a?b#c?d", "/a?b"),
            ("/a#%zz", "/a%23%25zz"),
            ("/a%", "/a%25"),
            ("/a%+1", "/a%25+1"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2Fb c", "/a/b%20c"),
            ("/a%5b^", "/a%5B%5E"),
            ("/a!'()*[]", "/a!'()*[]"),
            ("/a:b;c=d&e$f@g,h+i~j", "/a:b;c=d&e$f@g,h+i~j"),
            ("x/y:z", "/x/y:z"),
            ("1a:b", "/1a:b"),
            (":x", "/:x"),
            ("//healthz", "/"),
            ("//u@h:1/p?q", "/p?q"),
            ("///a", "///a"),
            ("http://evil/x", "/x"),
            ("http:/a", "/a"),
        ] {
            assert_eq!(path_and_query(path), url, "{path:?}");
        }
    }
}
