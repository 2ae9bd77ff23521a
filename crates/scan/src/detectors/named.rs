//! Values that have no form of their own, known by the name they are given: `DATADOG_API_KEY=…`, `"password": "…"`.
//!
//! What stands after a name is only taken for a secret worth reporting if it looks like one: random, or hex of a key's
//! length, or a password that is no word. [`super::assignment`] takes out of logs what is left over.

use super::judge::{LIKELY, contains_any_case, distinct, is_placeholder, looks_random};
use super::words::wordliness;
use crate::bits;
use crate::detector::{Detector, Hint, Hit, Look, Spot, secret};

pub(super) const RULES: &[Detector] = &[
    secret(KIND, &[Hint::AnyCase(SECRET_WORDS)], Look::Parse(after_secret_word)),
    secret(KIND, &[Hint::AnyCase(ISSUERS)], Look::Parse(after_issuer)),
];

const KIND: &str = "secret";

/// Passwords have no form; that one is none is likelier than with a key.
const PASSWORD: u8 = 60;

/// Words in a name that say its value is secret.
const SECRET_WORDS: &[&str] = &[
    "passw",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "creds",
    "api_key",
    "apikey",
    "api-key",
    "api key",
    "access_key",
    "accesskey",
    "access-key",
    "auth_key",
    "authkey",
    "auth-key",
    "private_key",
    "privatekey",
    "private-key",
    "account_key",
    "accountkey",
    "signing_key",
    "signingkey",
    "signing-key",
    "encryption_key",
    "encryptionkey",
    "master_key",
    "masterkey",
    "license_key",
    "licensekey",
    "app_key",
    "appkey",
    "client_key",
    "storage_key",
    "service_key",
    "deploy_key",
    "webhook_key",
    "session_key",
    "shared_key",
    "pwd",
];

/// Issuers whose keys have no form of their own. Beside one of these names any random value of a key's length counts,
/// whatever the rest of the name says.
const ISSUERS: &[&str] = &[
    "abuseipdb",
    "alphavantage",
    "apollo",
    "auth0",
    "bitly",
    "box_",
    "brave",
    "checkout",
    "civo",
    "cloudinary",
    "cockroach",
    "consumer_key",
    "consumer_secret",
    "couchbase",
    "cursor",
    "databento",
    "data.gov",
    "deepseek",
    "digitalocean",
    "disqus",
    "ebay",
    "elastic_",
    "endor",
    "exoscale",
    "fal_",
    "fullstory",
    "gitea",
    "greptile",
    "gumroad",
    "honeycomb",
    "hunter_",
    "ibm_",
    "ibmcloud",
    "influx",
    "infomaniak",
    "instantly",
    "ipinfo",
    "jumpcloud",
    "kagi",
    "klaviyo",
    "larksuite",
    "lighton",
    "livekit",
    "logdna",
    "mapquest",
    "miro_",
    "monday",
    "mux_",
    "newsapi",
    "ngrok",
    "notion",
    "ollama",
    "openai",
    "openweather",
    "ovh_",
    "pinecone",
    "pipedrive",
    "planetscale",
    "polygon",
    "polymarket",
    "posthog",
    "ramp_",
    "razorpay",
    "readme",
    "retell",
    "runway",
    "saucelabs",
    "scaleway",
    "scalr",
    "shopify",
    "signalwire",
    "splunk",
    "supabase",
    "tableau",
    "tiingo",
    "upstage",
    "upstash",
    "weatherapi",
    "weightsandbiases",
    "wiz_",
    "woocommerce",
    "workos",
    "xero",
    "zapier",
    "zerobounce",
    "zoho",
    "adafruit",
    "adobe",
    "airtable",
    "algolia",
    "alibaba",
    "aliyun",
    "amplitude",
    "asana",
    "assemblyai",
    "atlassian",
    "auth0",
    "beamer",
    "bintray",
    "bitbucket",
    "bitrise",
    "bittrex",
    "braintree",
    "browserstack",
    "bugsnag",
    "buildkite",
    "calendly",
    "circleci",
    "cloudflare",
    "cloudinary",
    "codecov",
    "codeclimate",
    "cohere",
    "coinbase",
    "confluent",
    "contentful",
    "contribsys",
    "coveralls",
    "datadog",
    "dd_api",
    "dd_app",
    "deepgram",
    "discord",
    "docusign",
    "droneci",
    "drone_",
    "dropbox",
    "etherscan",
    "etsy",
    "facebook",
    "fastly",
    "finicity",
    "finnhub",
    "flickr",
    "foursquare",
    "freshbooks",
    "freshdesk",
    "github",
    "gitlab",
    "gitter",
    "hcloud",
    "heroku",
    "hetzner",
    "hubspot",
    "infura",
    "intercom",
    "jfrog",
    "artifactory",
    "bintray",
    "jira",
    "kraken",
    "kucoin",
    "launchdarkly",
    "linear",
    "linkedin",
    "linode",
    "looker",
    "mailchimp",
    "mailgun",
    "mailjet",
    "mandrill",
    "mapbox",
    "mattermost",
    "meraki",
    "messagebird",
    "message_bird",
    "message-bird",
    "mistral",
    "mixpanel",
    "netlify",
    "new_relic",
    "newrelic",
    "new-relic",
    "nytimes",
    "okta",
    "opsgenie",
    "pagerduty",
    "papertrail",
    "paypal",
    "plaid",
    "plivo",
    "postmark",
    "privateai",
    "private_ai",
    "private-ai",
    "pusher",
    "rapidapi",
    "recaptcha",
    "rollbar",
    "salesforce",
    "sauce",
    "segment_",
    "sendbird",
    "sendgrid",
    "sentry",
    "shodan",
    "slack",
    "snyk",
    "sonar",
    "sourcegraph",
    "spotify",
    "square",
    "squarespace",
    "stripe",
    "sumo",
    "telegr",
    "travis",
    "trello",
    "twilio",
    "twitch",
    "twitter",
    "typeform",
    "vercel",
    "virustotal",
    "vultr",
    "wakatime",
    "wandb",
    "yandex",
    "zendesk",
    "zoom_",
];

/// How far a name goes on to either side of its word; longer ones are text.
const NAME_BYTES_MAX: usize = 50;
/// How far a value's name may be from it: a type, a bracket, the lines of a definition.
const GAP_BYTES_MAX: usize = 80;
/// Longer values are documents.
const VALUE_BYTES_MAX: usize = 512;

fn after_secret_word(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    look(spot, Names::Secret, report);
}

fn after_issuer(spot: &Spot<'_>, report: &mut dyn FnMut(Hit)) {
    look(spot, Names::Issuer, report);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Secret,
    Issuer,
}

/// A value found after a name.
struct Value {
    start: usize,
    end: usize,
    quoted: bool,
}

fn look(spot: &Spot<'_>, names: Names, report: &mut dyn FnMut(Hit)) {
    let text = spot.text;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let before = text.get(spot.at.start.saturating_sub(NAME_BYTES_MAX)..spot.at.start).unwrap_or_default();
    let start = spot.at.start - before.iter().rev().take_while(|byte| is_name(byte)).count();
    let after = text.get(spot.at.end..).unwrap_or_default().iter().take(NAME_BYTES_MAX);
    let end = spot.at.end + after.take_while(|byte| is_name(byte)).count();
    let name = text.get(start..end).unwrap_or_default();
    let mut from = end;
    // `const KEY: &str = "…"`, `add("key", "…")`: what follows the name may take two steps to reach the value.
    for _ in 0..2 {
        let Some(value) = value_after(text, from, name) else { return };
        let bytes = text.get(value.start..value.end).unwrap_or_default();
        let score = judge(name, bytes, value.quoted, names);
        if score > 0 {
            report(Hit { kind: KIND, score, span: value.start..value.end });
            return;
        }
        // A type may stand between: `token string = "…"`.
        let rest = text.get(value.end..).unwrap_or_default().trim_ascii_start();
        if value.quoted || bytes.len() > 24 || !rest.starts_with(b"=") {
            return;
        }
        from = value.end;
    }
}

/// Reads on from the end of a name, over what can stand between a name and its value, and gives the value.
fn value_after(text: &[u8], from: usize, name: &[u8]) -> Option<Value> {
    let gap = text.get(from..text.len().min(from + GAP_BYTES_MAX))?;
    let mut operator = false;
    let mut newlines = 0;
    let mut at = 0;
    loop {
        let byte = *gap.get(at)?;
        match byte {
            b' ' | b'\t' | b'\r' => {
                // A command line has no operator: `--token VALUE`.
                operator |= name.starts_with(b"-") && byte == b' ';
            }
            b'\n' => {
                // An element's content may stand on the next line; a `value:` or `default =` of a definition too.
                newlines += 1;
                let next = gap.get(at + 1..)?.trim_ascii_start();
                let defines = [&b"value"[..], b"type", b"default"].iter().any(|word| next.starts_with(word));
                if newlines > 3 || !(defines || (operator && newlines == 1)) {
                    return None;
                }
            }
            // An empty value is a value.
            b'"' | b'\'' if operator && gap.get(at + 1) == Some(&byte) && gap.get(at + 2) != Some(&byte) => {
                return None;
            }
            b'=' | b':' | b'>' | b',' | b'|' | b'?' | b'+' => operator = true,
            b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b'(' | b'[' | b'{' | b'&' | b'/' => {}
            b'.' if gap.get(at + 1) == Some(&b'=') => {}
            _ if byte.is_ascii_graphic() => {
                let word = gap.get(at..)?.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
                let is_filler = gap
                    .get(at..at + word)
                    .is_some_and(|word| FILLERS.iter().any(|filler| word.eq_ignore_ascii_case(filler)));
                if !is_filler || word == 0 {
                    break;
                }
                at += word;
                continue;
            }
            _ => return None,
        }
        at += 1;
    }
    let quote = at.checked_sub(1).and_then(|before| gap.get(before)).copied().filter(|byte| b"\"'`".contains(byte));
    // In a call or a list, and behind a `Bearer`, operators may be missing; a quote is enough then.
    if !operator && quote.is_none() {
        return None;
    }
    let start = from + at;
    let rest = text.get(start..text.len().min(start + VALUE_BYTES_MAX))?;
    let length = match quote {
        Some(quote) => rest.iter().position(|byte| *byte == quote || matches!(byte, b'\r' | b'\n' | b'\\')),
        None => rest.iter().position(|byte| ENDS_VALUE.get(usize::from(*byte)).copied().unwrap_or(true)),
    };
    let length = length.unwrap_or(rest.len());
    Some(Value { start, end: start + length, quoted: quote.is_some() })
}

/// The bytes that end a value without quotes. A table: a text of names alone has this many values to read.
const ENDS_VALUE: [bool; 256] = {
    let mut table = [false; 256];
    let ends = b" \t\n\x0C\r\"'`;,<>()[]{}|\\";
    let mut rest: &[u8] = ends;
    while let [byte, others @ ..] = rest {
        if let Some((_, [entry, ..])) = table.split_at_mut_checked(*byte as usize) {
            *entry = true;
        }
        rest = others;
    }
    table
};

/// Words that may stand between a name and its value: types, and what XML, YAML and Terraform say.
const FILLERS: &[&[u8]] = &[
    b"string",
    b"str",
    b"static",
    b"char",
    b"const",
    b"value",
    b"default",
    b"type",
    b"text",
    b"var",
    b"bearer",
    b"basic",
    b"token",
    b"byte",
    b"b",
    b"description",
    b"is",
    b"set",
    b"to",
];

/// Words of a name whose value is no secret: an id, a hash, a place, a number of them.
const HARMLESS: &[&[u8]] = &[
    b"id",
    b"ids",
    b"public",
    b"hash",
    b"digest",
    b"checksum",
    b"sha1",
    b"sha256",
    b"sha512",
    b"md5",
    b"fingerprint",
    b"integrity",
    b"path",
    b"file",
    b"dir",
    b"url",
    b"uri",
    b"endpoint",
    b"name",
    b"type",
    b"length",
    b"len",
    b"size",
    b"count",
    b"index",
    b"expiry",
    b"expires",
    b"ttl",
    b"label",
    b"title",
    b"prefix",
    b"suffix",
    b"version",
    b"commit",
    b"revision",
    b"regex",
    b"pattern",
    b"format",
    b"template",
    b"publishable",
    b"schema",
    b"tokenizer",
    b"csrf",
    b"xsrf",
    b"authenticity",
    b"site",
    b"measurement",
    b"age",
    b"policy",
];

/// Whether a name has this word, on its own or in camel case: `tokenHash` and `token_hash`, not `hashicorp`.
fn has_word(name: &[u8], word: &[u8]) -> bool {
    let is_word = |at: usize| {
        let first = name.get(at).copied().unwrap_or_default();
        let last = name.get(at + word.len() - 1).copied().unwrap_or_default();
        let before = at.checked_sub(1).and_then(|before| name.get(before)).copied().unwrap_or_default();
        let after = name.get(at + word.len()).copied().unwrap_or_default();
        (!before.is_ascii_alphabetic() || (before.is_ascii_lowercase() && first.is_ascii_uppercase()))
            && (!after.is_ascii_alphabetic() || (last.is_ascii_lowercase() && after.is_ascii_uppercase()))
    };
    name.windows(word.len()).enumerate().any(|(at, window)| window.eq_ignore_ascii_case(word) && is_word(at))
}

fn judge(name: &[u8], value: &[u8], quoted: bool, names: Names) -> u8 {
    // What is cheap comes first: names like these stand everywhere, values like a secret's hardly ever.
    let (mut digits, mut capitals, mut letters) = (0, 0, 0);
    bits::blocks(value, |_, block| {
        digits += bits::of(block, bits::digits).count_ones() as usize;
        letters += bits::of(block, bits::letters).count_ones() as usize;
        capitals += bits::of(block, |bytes| bits::range(bytes, b'A', 26)).count_ones() as usize;
    });
    let (upper, lower) = (capitals > 0, letters > capitals);
    if value.len() < 8 || (digits == 0 && !(upper && lower)) || letters < 2 || !value.iter().all(u8::is_ascii_graphic) {
        return 0;
    }
    let others = value.len() - digits - letters;
    let is_token_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-.~:@!%$".contains(byte);
    let is_token = value.iter().all(is_token_byte);
    let score = if is_token && is_hex(value) {
        let long = value.len() >= 30 || (value.len() >= 16 && value.len().is_multiple_of(2));
        if long && distinct(value) >= 7 && digits >= 3 { LIKELY } else { 0 }
    } else if is_token && is_uuid(value) {
        LIKELY
    } else {
        let least = if names == Names::Secret { 14 } else { 17 };
        let is_key = is_token && value.len() >= least && others * 4 <= value.len() && letters >= 4;
        let is_made = names == Names::Secret && value.len() >= 32 && distinct(value) >= 18 && others * 2 <= value.len();
        if is_key && looks_random(value) && wordliness(value) < -4 {
            LIKELY
        } else if is_made && digits >= 3 && letters >= 12 && wordliness(value) < -4 {
            // With signs in it, as frameworks make them.
            PASSWORD
        } else if names == Names::Issuer && is_pair_of_hex(value) && has_word(name, b"contribsys") {
            LIKELY
        } else if letters >= 3
            && digits + others >= 1
            && distinct(value) >= 7
            && is_password(name)
            && wordliness(value) < 0
        {
            // A password: letters with digits and signs among them, but no word, no path, no expression.
            if others * 2 <= value.len() && (quoted || others <= 6) && !value.starts_with(b"/") { PASSWORD } else { 0 }
        } else {
            0
        }
    };
    let harmless = || HARMLESS.iter().any(|word| has_word(name, word));
    if score == 0 || (!quoted && is_constant(value)) || is_reference(value) || is_placeholder(value) || harmless() {
        0
    } else {
        score
    }
}

/// A name in capitals, such as `MAX_TOKEN_2`.
fn is_constant(value: &[u8]) -> bool {
    value.contains(&b'_')
        && value.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
}

fn is_password(name: &[u8]) -> bool {
    [&b"passw"[..], b"passphrase", b"passcode", b"pwd"].iter().any(|word| contains_any_case(name, word))
}

/// The gem server of Sidekiq has such names and passwords.
fn is_pair_of_hex(value: &[u8]) -> bool {
    value.len() == 17
        && value.iter().enumerate().all(|(at, byte)| if at == 8 { *byte == b':' } else { byte.is_ascii_hexdigit() })
}

fn is_hex(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_hexdigit)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
        && distinct(value) >= 8
}

/// Names the value instead of being it: a variable, a template, a call, a path, an address.
fn is_reference(value: &[u8]) -> bool {
    const STARTS: &[&[u8]] = &[
        b"$",
        b"%{",
        b"{{",
        b"${",
        b"#{",
        b"<",
        b"http",
        b"@",
        b"./",
        b"../",
        b"~/",
        b"arn:",
        b"-----",
        b"ENC[",
        b"sha256-",
        b"sha384-",
        b"sha512-",
        b"vault:",
        b"projects/",
        b"!",
    ];
    const PARTS: &[&[u8]] = &[b"${", b"{{", b"://", b"::", b"->", b"...", b"%s", b"process.env", b"os.environ", b"=="];
    let ends = value.strip_suffix(b"==").unwrap_or(value);
    STARTS.iter().any(|start| value.starts_with(start))
        || PARTS.iter().any(|part| ends.windows(part.len()).any(|window| window == *part))
}

#[cfg(test)]
mod tests {
    use crate::{REPORT_SCORE, Scanner};

    #[track_caller]
    fn reported(text: &str) -> Vec<&str> {
        let seen = Scanner::standard().scan(text.as_bytes());
        seen.into_iter().filter(|seen| seen.score >= REPORT_SCORE).map(|seen| &text[seen.span]).collect()
    }

    #[test]
    fn reports_random_values_of_secret_names() {
        for (text, value) in [
            ("DD_API_KEY=3f9a0c7be14d2586a9b0c3d4e5f60718\n", "3f9a0c7be14d2586a9b0c3d4e5f60718"),
            ("client_secret: \"dGx8Qk2_pLw94Zr-77vBnMs1\"\n", "dGx8Qk2_pLw94Zr-77vBnMs1"),
            ("var cohereToken string = \"Qx81mZp4Lw0Tn6RkVb2yHc7G\"\n", "Qx81mZp4Lw0Tn6RkVb2yHc7G"),
            ("<add key=\"asana_secret\" value=\"q7w8z1x0v3n5m2k4j6h8g9f1\"/>", "q7w8z1x0v3n5m2k4j6h8g9f1"),
            ("tool --auth-token Zk39xQw72LmP8vRt5y run", "Zk39xQw72LmP8vRt5y"),
            ("db_password = 'x7#Lq2!vZ9'", "x7#Lq2!vZ9"),
        ] {
            assert_eq!(reported(text), [value], "in {text}");
        }
    }

    #[test]
    fn leaves_words_references_and_hashes() {
        for text in [
            "token = unexpected_token_in_expression2\n",
            "password = \"correct_password_1\"\n",
            "secret_key_path = \"/etc/ssl/x7Lq2vZ9aB3dE5fG\"\n",
            "api_key: ${API_KEY_9x8y7z6w5v}\n",
            "token_hash: 3f9a0c7be14d2586a9b0c3d4e5f60718\n",
            "const TOKEN_COUNT: usize = 4294967295;\n",
            "let token = self.parse_token_2(0x1f);\n",
            "access_key = \"xxxxxxxxxxxxxxxxxxxxxxxx\"\n",
            "github.com/rust-lang/rust/commit/3f9a0c7be14d2586a9b0c3d4e5f607183f9a0c7b\n",
        ] {
            assert_eq!(reported(text), [""; 0], "in {text}");
        }
    }
}
