//! One canonical form of a request's path, so that what a rule sees is what the server gets.

/// The path's one form: percent-encoded letters that need no encoding are plain, the other encodings in upper case.
/// `None` where two servers could read the path differently: dot segments, empty segments, backslashes, encoded
/// slashes, dots or percent signs, `..;`, anything that isn't printable ASCII.
#[must_use]
pub fn canonical(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let mut form = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                let value = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
                match value {
                    // An encoded `%` is a second layer of encoding: some server peels it off.
                    b'/' | b'\\' | b'.' | b'%' | b';' | 0..=0x1f | 0x7f => return None,
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => form.push(char::from(value)),
                    _ => {
                        form.push('%');
                        form.push(char::from(high.to_ascii_uppercase()));
                        form.push(char::from(low.to_ascii_uppercase()));
                    }
                }
            }
            b'\\' | b'#' | b'?' => return None,
            0x21..=0x7e => form.push(char::from(byte)),
            _ => return None,
        }
    }
    let segments = form.get(1..)?;
    let last = segments.split('/').count();
    for (index, segment) in segments.split('/').enumerate() {
        let name = segment.split(';').next().unwrap_or_default();
        // Only the last segment may be empty: a trailing slash.
        if matches!(name, "." | "..") || (name.is_empty() && (index + 1 != last || !segment.is_empty())) {
            return None;
        }
    }
    Some(form)
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_keep_their_form() {
        for path in ["/", "/a", "/a/", "/a/b.c;v=1/d-e_f~g", "/a..b/...", "/@user/pkg", "/a%20b", "/%C3%A9"] {
            assert_eq!(canonical(path).as_deref(), Some(path), "{path}");
        }
        assert_eq!(canonical("/%41%7e%c3%a9").as_deref(), Some("/A~%C3%A9"));
    }

    #[test]
    fn ambiguous_paths_have_none() {
        for path in [
            "",
            "a",
            "*",
            "/../x",
            "/a/..",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "//a",
            "/a//b",
            "/a/..;/b",
            "/..;x=1/b",
            "/.;",
            "/a%2fb",
            "/a%5Cb",
            "/a\\b",
            "/a%00b",
            "/a%252e%252e/b",
            "/a%2",
            "/a%zz",
            "/a b",
            "/é",
            "/a\u{7f}",
            "/a#b",
            "/;/x",
            "/a/;",
        ] {
            assert_eq!(canonical(path), None, "{path}");
        }
    }
}
