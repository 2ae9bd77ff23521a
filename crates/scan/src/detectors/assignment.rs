//! Values assigned to a name that says they are secret: in shells, code, YAML, JSON and command lines.

use crate::detector::{Detector, Found, Hint, Look, Spot, secret};
use crate::redactor::is_marker;

macro_rules! secret_names {
    () => {
        concat!(
            r"(?:password|passwd|passphrase|pwd|secret|token|credentials?",
            r"|(?:api|access|private|auth|account|signing|encryption|master)[_-]?key)",
            r"(?:[_-](?:access[_-])?(?:key|token|value|secret|base|hash|b64|base64)){0,2}",
        )
    };
}

/// A value in quotes (its own or escaped ones) to the closing quote, or else to where a word ends.
macro_rules! value {
    () => {
        concat!(
            r#"(?:\\+["']([^"'\r\n]+)"#,
            r#"|"((?:[^"\\\r\n]|\\[^\r\n])+)"#,
            r#"|'([^'\r\n]+)"#,
            r#"|([^\s"'`,;&<>=][^\s"'`,;&<>]*))"#,
        )
    };
}

pub(super) const RULES: &[Detector] = &[
    secret(
        "secret",
        &[Hint::AnyCase(HINTS)],
        Look::From(
            concat!("(?i)", secret_names!(), r#"(?:\\*["'])?[ \t]*(?:=>|:=|=|:|%3d)[ \t]*"#, value!()),
            is_assigned_secret,
        ),
    )
    .sifted(is_assigned_to),
    secret(
        "secret",
        &[Hint::AnyCase(FLAG_HINTS)],
        Look::From(
            concat!(
                r"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key)",
                r#"(?:[ \t]+|\\*["'][ \t]*,[ \t]*)"#,
                value!()
            ),
            is_flag_value,
        ),
    ),
];

/// The longest that a name goes on behind its hint: `s` and two of `_access_secret`.
const SUFFIX_BYTES_MAX: usize = 32;

/// Whether something is assigned to the name that the hint begins. What may stand between is a little more than the
/// pattern allows.
fn is_assigned_to(spot: &Spot<'_>) -> bool {
    let part_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let name = spot.after().iter().take(SUFFIX_BYTES_MAX).take_while(|byte| part_of_name(byte)).count();
    let next = spot.after().iter().skip(name).find(|byte| !b"\\\"' \t".contains(byte));
    next.is_some_and(|byte| b"=:%".contains(byte))
}

const HINTS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "private_key",
    "private-key",
    "privatekey",
    "auth_key",
    "auth-key",
    "authkey",
    "account_key",
    "account-key",
    "accountkey",
    "signing_key",
    "signing-key",
    "signingkey",
    "encryption_key",
    "encryption-key",
    "encryptionkey",
    "master_key",
    "master-key",
    "masterkey",
];

const FLAG_HINTS: &[&str] = &["password", "passwd", "passphrase", "secret", "token", "api_key", "api-key", "apikey"];

/// Longer names of flags and parameters are nobody's.
const NAME_BYTES_MAX: usize = 64;

/// Words that stand where a secret would in code, templates and examples.
const PLACEHOLDERS: &[&[u8]] =
    &[b"none", b"null", b"nil", b"true", b"false", b"undefined", b"string", b"str", b"bytes", b"required", b"optional"];

/// Shorter values are flags and counters; taking them out would hide more than it protects.
const ASSIGNED_BYTES_MIN: usize = 3;

/// `token` is also a word of parsers; a value after a colon must look random to count.
const RANDOM_BYTES_MIN: usize = 16;

/// Whether a field of this name holds a secret, as in the key of a JSON object.
pub(crate) fn is_sensitive_name(name: &str) -> bool {
    // No issuer uses longer names, and it bounds the copy.
    const NAME_BYTES_MAX: usize = 128;
    const ENDINGS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "apikey",
        "accesskey",
        "secretkey",
        "privatekey",
        "authkey",
        "accountkey",
        "signingkey",
        "encryptionkey",
        "masterkey",
        "authorization",
        "cookie",
        "credential",
        "secretvalue",
        "secretbase",
        "passwordhash",
    ];
    if name.len() > NAME_BYTES_MAX {
        return false;
    }
    let letters: String = name
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric())
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    ENDINGS.iter().any(|ending| letters.ends_with(ending))
}

/// Whether the next argument after this one is a secret, as in `--password hunter2`.
pub(crate) fn is_sensitive_flag(argument: &str) -> bool {
    argument.starts_with('-') && !argument.contains(['=', ' ']) && is_sensitive_name(argument)
}

/// What is known by a name alone may be a password or an example of one.
const WEAK: u8 = 40;

fn is_assigned_secret(found: &Found<'_>) -> u8 {
    if is_assigned(found) { WEAK } else { 0 }
}

fn is_assigned(found: &Found<'_>) -> bool {
    let name_is = |name: &[u8]| found.whole.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let secret = found.secret;
    if is_placeholder(secret) {
        return false;
    }
    // The shell's own variable, not a password.
    if name_is(b"pwd") && secret.starts_with(b"/") {
        return false;
    }
    let context = found.whole.len() - secret.len();
    let before = found.whole.get(..context).unwrap_or_default().trim_ascii_end();
    if name_is(b"token") && before.ends_with(b":") {
        return secret.len() >= RANDOM_BYTES_MIN || secret.iter().any(u8::is_ascii_digit);
    }
    true
}

fn is_flag_value(found: &Found<'_>) -> u8 {
    if is_flag(found) && !found.secret.starts_with(b"-") && !is_placeholder(found.secret) { WEAK } else { 0 }
}

/// Whether the name that was found ends a flag such as `--auth-token`.
fn is_flag(found: &Found<'_>) -> bool {
    let before = found.text.get(found.at.start.saturating_sub(NAME_BYTES_MAX)..found.at.start).unwrap_or_default();
    let name = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
    let (outside, name) = before.split_at(before.len() - name);
    name.starts_with(b"-")
        && name.ends_with(b"-") | name.ends_with(b"_")
        && outside.last().is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'".contains(byte))
}

fn is_placeholder(secret: &[u8]) -> bool {
    let secret = secret.strip_suffix(b"\\").unwrap_or(secret);
    secret.len() < ASSIGNED_BYTES_MIN
        || is_marker(secret)
        || PLACEHOLDERS.iter().any(|placeholder| secret.eq_ignore_ascii_case(placeholder))
        || is_variable(secret)
        || secret.iter().all(|byte| b"*.xX{}[]()|?-_".contains(byte))
}

/// A reference such as `$TOKEN`, `${TOKEN}`, `$(command)`, `%TOKEN%`, `{{ token }}` names a secret without being one.
fn is_variable(secret: &[u8]) -> bool {
    let is_name = |name: &[u8]| {
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
    };
    if let Some(rest) = secret.strip_prefix(b"$") {
        let braced = rest.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
        return is_name(rest)
            || rest == b"{{"
            || rest.starts_with(b"(")
            || braced.is_some_and(|name| name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte)));
    }
    if let Some(rest) = secret.strip_prefix(b"%") {
        return rest.strip_suffix(b"%").is_some_and(is_name);
    }
    secret.strip_prefix(b"{{").is_some_and(|rest| rest.is_empty() || rest.ends_with(b"}}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_automata::meta::Regex;
    use regex_automata::util::syntax;

    use super::*;
    use crate::detectors::testing::check;

    #[test]
    fn finds_assigned_values() {
        let check = |text: &str| check("secret", text);
        check("password=«hunter2»");
        check("export DB_PASSWORD='«correct horse»' x");
        check(r#"{"password": "«correct \"horse»", "user": "me"}"#);
        check(r#"{\"client_secret\":\"«abc def\»","x":1}"#);
        check("api-key: «abcdef»\nuser: me");
        check("token: «abc123»");
        check("SECRET_KEY_BASE=«0123abc»");
        check("password%3D«hunter2»&x=1");
        check("mysql --password «hunter2» -u me");
        check(r#"["--auth-token","«abc1»"]"#);
        check("a=1,token=«abcd»,b=2");
    }

    #[test]
    fn leaves_references_placeholders_and_prose() {
        let check = |text: &str| check("secret", text);
        check("password=$DB_PASSWORD");
        check("token: ${GITHUB_TOKEN}");
        check("token: ${{ secrets.TOKEN }}");
        check("token=$(cat x)");
        check("password: None, secret = null");
        check("password = ********");
        check("enter the password: ");
        check("unexpected token: foo");
        check("max_tokens: 4096, tokens=12, secretary=anna");
        check("PWD=/home/me OLDPWD=/tmp");
        check("if password == other");
        check("deploy --token --verbose");
    }

    proptest! {
        #[test]
        fn the_sieve_keeps_what_the_pattern_finds(
            name in "(?i)(pwd|token|credential|api[_-]?key|secret)",
            suffix in "(?i)s?([_-](access[_-])?(key|value|hash|base64)){0,2}",
            between in r#"\\{0,3}["']?[ \t]{0,3}(=>|:=|=|:|%3d|%3D)?[ \t]{0,3}"#,
            value in r#"["']?[a-z0-9 ]{0,12}["']?"#,
        ) {
            let text = format!("{name}{suffix}{between}{value}");
            let Detector { look: Look::From(pattern, _), .. } = &RULES[0] else { unreachable!() };
            let pattern = Regex::builder().syntax(syntax::Config::new().unicode(false).utf8(false)).build(pattern).unwrap();
            let spot = Spot { text: text.as_bytes(), at: 0..name.len() };
            let found = pattern.find(text.as_bytes()).is_some_and(|found| found.start() == 0);
            prop_assert!(is_assigned_to(&spot) || !found, "{text}");
        }
    }

    #[test]
    fn knows_sensitive_names() {
        for name in ["password", "X-Api-Key", "clientSecret", "GITHUB_TOKEN", "set-cookie", "AWS_SECRET_ACCESS_KEY"] {
            assert!(is_sensitive_name(name), "{name}");
        }
        for name in ["tokens", "key", "monkey", "path", "secretary", "password_file", ""] {
            assert!(!is_sensitive_name(name), "{name}");
        }
        assert!(is_sensitive_flag("--password"));
        assert!(!is_sensitive_flag("--password=x"));
    }
}
