//! Paths in one form: absolute, without `.`, `..`, doubled or final slashes. Purely lexical; whoever hands
//! in a path has resolved its symbolic links, or means the path as written.

use std::borrow::Cow;

/// Longest path that is decided over; the kernel's own limit.
pub const PATH_BYTES_MAX: usize = 4096;

/// The one form of an absolute path; `None` for what is relative, too long or holds a NUL.
/// `..` goes up as far as the root and never beyond.
#[must_use]
pub fn canonical(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    if path.first() != Some(&b'/') || path.len() > PATH_BYTES_MAX || path.contains(&0) {
        return None;
    }
    if is_canonical(path) {
        return Some(Cow::Borrowed(path));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Some(Cow::Borrowed(b"/"));
    }
    let mut whole = Vec::with_capacity(path.len());
    for part in parts {
        whole.push(b'/');
        whole.extend_from_slice(part);
    }
    Some(Cow::Owned(whole))
}

fn is_canonical(path: &[u8]) -> bool {
    path == b"/"
        || path
            .strip_prefix(b"/")
            .is_some_and(|rest| rest.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b"..")))
}

/// Whether a request path has only one reading: no dot segments, doubled slashes, backslashes, encoded
/// separators or path parameters on dot segments. Rules over paths hold only for such paths.
#[must_use]
pub fn has_one_reading(path: &str) -> bool {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') || bytes.iter().any(|byte| matches!(byte, b'\\' | b'?' | b'#' | 0..=b' ' | 0x7f..))
    {
        return false;
    }
    let mut encoded =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').map(|(at, _)| bytes.get(at + 1..at + 3));
    let clean = encoded.all(|pair| match pair {
        Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => !changes_meaning(*high, *low),
        _ => false,
    });
    let segments = || path.strip_prefix('/').unwrap_or(path).split('/');
    let last = segments().count().saturating_sub(1);
    clean
        && segments().enumerate().all(|(index, segment)| {
            let name = segment.split(';').next().unwrap_or_default();
            !matches!(name, "." | "..") && (!segment.is_empty() || index == last)
        })
}

/// Whether this encoded byte means something else than itself once it is decoded: separators, `%`, controls,
/// and the letters, digits and marks that RFC 3986 never needs encoded.
fn changes_meaning(high: u8, low: u8) -> bool {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
    let byte = digit(high) << 4 | digit(low);
    byte < b' ' || byte == 0x7f || byte.is_ascii_alphanumeric() || b"./\\%-_~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(path: &str) -> Option<String> {
        canonical(path.as_bytes()).map(|path| String::from_utf8_lossy(&path).into_owned())
    }

    #[test]
    fn takes_the_dots_out() {
        assert_eq!(text("/a//b/./c/../d/").as_deref(), Some("/a/b/d"));
        assert_eq!(text("/../../etc").as_deref(), Some("/etc"));
        assert_eq!(text("/..").as_deref(), Some("/"));
        assert_eq!(text("a/b"), None);
        assert_eq!(text("/a\0b"), None);
        assert_eq!(text(&format!("/{}", "a".repeat(PATH_BYTES_MAX))), None);
    }

    #[test]
    fn one_reading() {
        for good in ["/", "/a/b", "/a/", "/@scope%40x/y", "/a;v=1", "/a.b/..c", "/%C3%A9"] {
            assert!(has_one_reading(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "//",
            "/a//b",
            "/a/../b",
            "/a/..;/b",
            "/a/.;x/b",
            "/a%2e%2E/b",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%",
            "/a%zz",
            "/a b",
            "/a%00",
            "/a%252e",
            "/%61dmin",
            "/a/.",
            "/é",
        ] {
            assert!(!has_one_reading(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn canonical_is_stable_and_stays_inside(path in "/[a.~/ é\\x01]{0,40}") {
            if let Some(once) = canonical(path.as_bytes()) {
                prop_assert!(once.starts_with(b"/"));
                prop_assert!(!once.windows(2).any(|pair| pair == b"//"));
                prop_assert!(once.split(|byte| *byte == b'/').all(|part| part != b".." && part != b"."));
                let again = canonical(&once).unwrap();
                prop_assert_eq!(again.as_ref(), once.as_ref());
            }
        }

        #[test]
        fn nothing_climbs_out_of_a_prefix(tail in "[a/]{0,12}", ups in 0_usize..4) {
            let path = format!("/box/{}/{tail}{}", "d/".repeat(ups), "/..".repeat(ups));
            let deep = tail.split('/').filter(|part| !part.is_empty()).count();
            let found = canonical(path.as_bytes()).unwrap().into_owned();
            prop_assert!(found.starts_with(b"/box") || deep < ups);
        }
    }
}
