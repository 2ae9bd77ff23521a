//! Where placeholders stand in a request. One walk over all places serves both who looks for them and who fills them
//! in, so that what was decided is what is filled.

mod json;

use bartizan_gate::Outgoing;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::placeholder::PREFIX;

pub use json::JsonError;

/// What stands at a place, in plain letters: percent signs, base64 and JSON escapes undone.
pub(crate) type Text = Zeroizing<Vec<u8>>;

/// Told of every text in which a placeholder may stand, by place; gives what is to stand there instead, if anything.
pub(crate) type Visit<'a> = dyn FnMut(&str, &[u8]) -> Option<Text> + 'a;

/// Why a request could not be filled in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WalkError {
    /// The value can't stand in a header.
    #[error("its value holds a line break or a control byte, which can't stand in `{at}`")]
    Control {
        /// Where.
        at: String,
    },
    /// The value can't stand in JSON.
    #[error("its value is not UTF-8, so it can't stand in `{at}`")]
    Encoding {
        /// Where.
        at: String,
    },
}

/// Tells every place of the request where a placeholder is. What `visit` gives takes the place of the text.
pub(crate) fn walk(request: &mut Outgoing, visit: &mut Visit<'_>) -> Result<(), WalkError> {
    if holds(request.path.as_bytes()) {
        // The path is decided on and logged; no value ever stands in it.
        let _ = visit("path", request.path.as_bytes());
    }
    if let Some(query) = request.query.take() {
        request.query = Some(walk_query(query, visit)?);
    }
    for (name, value) in &mut request.headers {
        let lower = name.to_ascii_lowercase();
        if holds(lower.as_bytes()) {
            let _ = visit("header-name", lower.as_bytes());
        }
        if lower == "authorization" && walk_basic(value, visit)? {
            continue;
        }
        if holds(value) {
            let at = format!("header.{lower}");
            if let Some(text) = visit(&at, value) {
                if text.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
                    return Err(WalkError::Control { at });
                }
                put(value, text);
            }
        }
    }
    if let Some(body) = request.body.as_mut().filter(|body| holds(body)) {
        match json::fill(body, visit) {
            Ok(Some(filled)) => put(body, filled),
            Ok(None) => {}
            Err(JsonError::Encoding { at }) => return Err(WalkError::Encoding { at }),
            // No JSON that anybody could name a field of.
            Err(JsonError::Malformed) => drop(visit("body", body)),
        }
    }
    Ok(())
}

fn holds(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, PREFIX.as_bytes()).is_some()
}

/// Puts a new text in the place of an old one, which is wiped.
fn put(place: &mut Vec<u8>, text: Text) {
    let mut old = Zeroizing::new(std::mem::take(place));
    *place = text.to_vec();
    old.clear();
}

/// `name=value&…`: the query is written anew only where a value takes a placeholder's place.
fn walk_query(query: String, visit: &mut Visit<'_>) -> Result<String, WalkError> {
    if !query.contains('%') && !holds(query.as_bytes()) {
        return Ok(query);
    }
    let mut filled = Zeroizing::new(String::with_capacity(query.len() * 2));
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            filled.push('&');
        }
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        };
        let plain_name = unescape(name);
        if holds(&plain_name) {
            let _ = visit("query-name", &plain_name);
        }
        let plain = value.map(unescape);
        let text = plain.filter(|plain| holds(plain)).and_then(|plain| {
            let at = format!("query.{}", String::from_utf8_lossy(&plain_name));
            visit(&at, &plain)
        });
        match text {
            Some(text) => {
                filled.push_str(name);
                filled.push('=');
                escape(&text, &mut filled);
            }
            None => filled.push_str(pair),
        }
    }
    Ok(std::mem::take(&mut *filled))
}

fn unescape(text: &str) -> Text {
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = || {
            let mut ahead = bytes.clone();
            let digits = [ahead.next()?, ahead.next()?];
            let value = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some((value, ahead))
        };
        match (byte, (byte == b'%').then(escaped).flatten()) {
            (_, Some((value, ahead))) => {
                plain.push(value);
                bytes = ahead;
            }
            (b'+', None) => plain.push(b' '),
            (byte, None) => plain.push(byte),
        }
    }
    plain
}

fn escape(text: &[u8], out: &mut String) {
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// `Basic` and base64 of `user:password`. Says whether the header is of that form.
fn walk_basic(value: &mut Vec<u8>, visit: &mut Visit<'_>) -> Result<bool, WalkError> {
    let Some(encoded) =
        value.get(6..).filter(|_| value.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"basic ")))
    else {
        return Ok(false);
    };
    let Ok(plain) = STANDARD.decode(encoded.trim_ascii()).map(Zeroizing::new) else { return Ok(false) };
    let Some(colon) = plain.iter().position(|byte| *byte == b':').filter(|_| holds(&plain)) else { return Ok(false) };
    let (user, password) = plain.split_at(colon);
    let password = password.get(1..).unwrap_or_default();
    let mut filled = Zeroizing::new(Vec::with_capacity(plain.len() + 256));
    let mut changed = false;
    for (at, part) in [("basic.user", user), ("basic.password", password)] {
        if at == "basic.password" {
            filled.push(b':');
        }
        let text = if holds(part) { visit(at, part) } else { None };
        changed |= text.is_some();
        match text {
            // A colon would move the border between the two.
            Some(text) if text.iter().any(|byte| *byte < 0x20 || (*byte == b':' && at == "basic.user")) => {
                return Err(WalkError::Control { at: at.to_owned() });
            }
            Some(text) => filled.extend_from_slice(&text),
            None => filled.extend_from_slice(part),
        }
    }
    if changed {
        let mut header = Zeroizing::new(b"Basic ".to_vec());
        let encoded = Zeroizing::new(STANDARD.encode(&*filled));
        header.extend_from_slice(encoded.as_bytes());
        put(value, header);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "bartizan-secret-key-00ff";

    fn request(query: Option<&str>, headers: &[(&str, &str)], body: Option<&str>) -> Outgoing {
        let mut request = Outgoing::default();
        request.path = "/a".into();
        request.query = query.map(|query| query.replace('$', SECRET));
        request.headers =
            headers.iter().map(|(name, value)| ((*name).into(), value.replace('$', SECRET).into())).collect();
        request.body = body.map(|body| body.replace('$', SECRET).into_bytes());
        request
    }

    /// Where placeholders stand, and the request with each filled in.
    fn check(mut request: Outgoing, value: &str) -> Result<(Vec<String>, Outgoing), WalkError> {
        let mut places = Vec::new();
        walk(&mut request, &mut |at, text| {
            let text = String::from_utf8_lossy(text);
            places.push(format!("{at}={}", text.replace(SECRET, "$")));
            Some(Zeroizing::new(text.replace(SECRET, value).into_bytes()))
        })?;
        Ok((places, request))
    }

    #[test]
    fn finds_and_fills_every_place() {
        let (places, filled) = check(
            request(
                Some("a=1&key=%24$&n%41me=x+$"),
                &[("X-Api-Key", "$"), ("Authorization", "Bearer $"), ("Cookie", "a=b; t=$")],
                Some(r#"{"a":{"tok":"p$s"},"b":[1,"$"]}"#),
            ),
            "v a+l",
        )
        .unwrap();
        assert_eq!(
            places,
            [
                "query.key=$$",
                "query.nAme=x $",
                "header.x-api-key=$",
                "header.authorization=Bearer $",
                "header.cookie=a=b; t=$",
                "json.a.tok=p$s",
                "json.b.1=$"
            ]
        );
        assert_eq!(filled.query.as_deref(), Some("a=1&key=%24v%20a%2Bl&n%41me=x%20v%20a%2Bl"));
        assert_eq!(filled.headers[1].1, b"Bearer v a+l");
        assert_eq!(filled.body.as_deref(), Some(&br#"{"a":{"tok":"pv a+ls"},"b":[1,"v a+l"]}"#[..]));
    }

    #[test]
    fn basic_is_seen_in_its_parts() {
        let basic = format!("Basic {}", STANDARD.encode(format!("me:{SECRET}")));
        let (places, filled) = check(request(None, &[("authorization", &basic)], None), "pass:word").unwrap();
        assert_eq!(places, ["basic.password=$"]);
        assert_eq!(filled.headers[0].1, format!("Basic {}", STANDARD.encode("me:pass:word")).into_bytes());
    }

    #[test]
    fn places_without_a_name_are_told_too() {
        let mut odd = request(None, &[("a", "b")], Some("x=$"));
        odd.path = format!("/bot{SECRET}/x");
        odd.headers.push((SECRET.to_uppercase(), b"b".to_vec()));
        let places = check(odd, "value").unwrap().0;
        assert_eq!(places, ["path=/bot$/x", "header-name=$", "body=x=$"]);
    }

    #[test]
    fn values_that_would_break_the_message_are_refused() {
        assert!(check(request(None, &[("a", "$")], None), "a\r\nb: c").is_err());
        assert!(check(request(None, &[("a", "$")], None), "a b").is_ok());
        let basic = format!("Basic {}", STANDARD.encode(format!("{SECRET}:x")));
        assert!(check(request(None, &[("authorization", &basic)], None), "a:b").is_err());
    }

    #[test]
    fn requests_without_placeholders_stay_as_they_are() {
        let (places, same) = check(request(Some("a=%zz&%&b=1+2"), &[("a", "Basic !!")], Some("{")), "x").unwrap();
        assert!(places.is_empty());
        assert_eq!(same.query.as_deref(), Some("a=%zz&%&b=1+2"));
    }
}
