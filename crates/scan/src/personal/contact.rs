//! E-mail and web addresses.

use super::bytes::{at, before, part, run_end, run_start};
use super::groups::is_start;
use super::{Found, Kind};

/// RFC 5321: 64 bytes before the sign, 255 after it.
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;
/// Longer ones are data.
const URL_BYTES_MAX: usize = 400;

/// Endings that look like a country or a topic and are files or units of systemd.
const NOT_DOMAINS: &[&[u8]] = &[
    b"png",
    b"jpg",
    b"jpeg",
    b"gif",
    b"svg",
    b"webp",
    b"js",
    b"jsx",
    b"ts",
    b"tsx",
    b"mjs",
    b"cjs",
    b"css",
    b"scss",
    b"html",
    b"htm",
    b"json",
    b"yml",
    b"yaml",
    b"toml",
    b"xml",
    b"txt",
    b"md",
    b"rst",
    b"py",
    b"pyc",
    b"rs",
    b"rb",
    b"go",
    b"java",
    b"c",
    b"h",
    b"cpp",
    b"hpp",
    b"service",
    b"socket",
    b"target",
    b"timer",
    b"slice",
    b"local",
    b"localhost",
    b"localdomain",
    b"internal",
    b"lan",
    b"lock",
    b"zip",
    b"tar",
    b"gz",
    b"pdf",
    b"csv",
    b"log",
    b"map",
    b"vue",
    b"php",
    b"sql",
    b"exe",
    b"dll",
    b"bin",
];

/// The e-mail address whose sign stands at `sign`.
pub(super) fn find_email(text: &[u8], sign: usize) -> Option<Found> {
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+'-".contains(&byte) || byte >= 0x80;
    let mut start = run_start(text, sign, LOCAL_BYTES_MAX + 1, is_local);
    if sign - start > LOCAL_BYTES_MAX {
        return None;
    }
    while start < sign
        && !(at(text, start).is_ascii_alphanumeric() || at(text, start) >= 0x80 || at(text, start) == b'_')
    {
        start += 1;
    }
    let end = domain_end(text, sign + 1)?;
    let local = part(text, start..sign);
    let is_login = before(text, start) == b':' || part(text, start.saturating_sub(3)..start) == b"://";
    // `git@host:path` is a place, `a//user:word@host` a login.
    let is_place = matches!(local, b"git" | b"hg" | b"svn" | b"root")
        || (at(text, end) == b':' && at(text, end + 1).is_ascii_alphabetic());
    let has_name = local.iter().any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80);
    let is_mailto = part(text, start.saturating_sub(7)..start).eq_ignore_ascii_case(b"mailto:");
    let is_sane = has_name && !local.ends_with(b".") && !local.windows(2).any(|pair| pair == b"..");
    let is_refused = is_place || (is_login && !is_mailto && is_url_login(text, start));
    (is_sane && !is_refused).then_some(Found { kind: Kind::Email, score: 95, span: start..end })
}

/// Whether a `//` stands before, with nothing but a login between.
fn is_url_login(text: &[u8], start: usize) -> bool {
    let from =
        run_start(text, start, LOCAL_BYTES_MAX * 2, |byte| !byte.is_ascii_whitespace() && !b"\"'<>".contains(&byte));
    part(text, from..start).windows(2).any(|pair| pair == b"//")
}

/// Where a name of two labels or more ends, the last of them letters.
fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80;
    let limit = start + DOMAIN_BYTES_MAX;
    let (mut from, mut end, mut labels, mut last) = (start, None, 0, start..start);
    while from < limit {
        let to = run_end(text, from, 64, is_label);
        if to == from || to - from > 63 || at(text, from) == b'-' || before(text, to) == b'-' {
            break;
        }
        labels += 1;
        last = from..to;
        end = Some(to);
        if at(text, to) != b'.' || !is_label(at(text, to + 1)) {
            break;
        }
        from = to + 1;
    }
    let ending = part(text, last);
    let is_name = ending.len() >= 2
        && (ending.iter().all(u8::is_ascii_alphabetic)
            || ending.starts_with(b"xn--")
            || ending.iter().any(|byte| *byte >= 0x80));
    let lower = ending.to_ascii_lowercase();
    if labels < 2 || !is_name || NOT_DOMAINS.contains(&lower.as_slice()) || matches!(at(text, end?), b'(' | b'_') {
        return None;
    }
    end
}

/// The web address around `://` at `colon`.
pub(super) fn find_url(text: &[u8], colon: usize) -> Option<Found> {
    let start = run_start(text, colon, 12, |byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
    if !matches!(part(text, start..colon).to_ascii_lowercase().as_slice(), b"http" | b"https" | b"ftp" | b"ws" | b"wss")
    {
        return None;
    }
    let is_part = |byte: u8| byte > b' ' && !b"\"<>`{}|\\^".contains(&byte) && byte != 0x7f;
    let mut end = run_end(text, colon + 3, URL_BYTES_MAX, is_part);
    // What closes the sentence isn't part of the address.
    while end > colon + 3 && b".,;:!?'\"*_~".contains(&before(text, end)) {
        end -= 1;
    }
    let inside = part(text, start..end);
    if before(text, end) == b')'
        && inside.iter().filter(|byte| **byte == b'(').count() < inside.iter().filter(|byte| **byte == b')').count()
    {
        end -= 1;
    }
    (end > colon + 4).then_some(Found { kind: Kind::Url, score: 80, span: start..end })
}

/// A name without a scheme, such as `www.example.org` or `example.org`, in prose.
pub(super) fn find_domain(text: &[u8], dot: usize) -> Option<Found> {
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let start = run_start(text, dot, DOMAIN_BYTES_MAX, is_label);
    let end = domain_end(text, start)?;
    let written = part(text, start..end);
    let ending = written.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let is_known = part(text, start..start + 4).eq_ignore_ascii_case(b"www.")
        || ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known.as_bytes()));
    let is_alone = is_start(text, start)
        && !matches!(before(text, start), b'@' | b'/' | b':')
        && !matches!(at(text, end), b'@' | b'(' | b':');
    (is_known && is_alone && dot < end).then_some(Found { kind: Kind::Url, score: 55, span: start..end })
}

/// Endings under which most names stand that people write without a scheme.
const ENDINGS: &[&str] = &[
    "com", "org", "net", "edu", "gov", "info", "biz", "uk", "de", "fr", "eu", "us", "ca", "au", "nl", "ch", "se", "it",
    "es", "jp", "br", "pl", "at", "be", "dk", "fi", "nz", "in", "dev", "app", "co",
];

#[cfg(test)]
mod tests {
    use crate::personal::testing::{check, check_prose};

    #[test]
    fn finds_email_addresses() {
        check("to «email:jane.doe+list@mail.example.org», or");
        check("<«email:o'neil@example.co.uk»>");
        check("mailto:«email:jane@example.org»");
        check("«email:müller@example.de»");
        check("email:«email:jane@example.org».");
    }

    #[test]
    fn leaves_places_packages_and_files() {
        check("git@github.com:me/x.git");
        check("https://me:word@example.org/");
        check("@types/node@18.0.1 serde@1.0 icon@2x.png getty@tty1.service");
        check("a @ b.com, @example.org, x@localhost");
        check("object@method.call()");
    }

    #[test]
    fn finds_web_addresses_in_prose() {
        check_prose("see «url:https://www.example.se/a?b=c#d».");
        check_prose("(at «url:http://example.org/x_(y)»)");
        check_prose("visit «url:www.example.org» or «url:example.com», not file.rs or e.g. this");
        check("see https://www.example.se/");
    }
}
