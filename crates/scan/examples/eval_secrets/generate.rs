//! Makes tokens from templates, and texts from tokens.

use std::fmt::Write;

/// A small generator of random numbers (splitmix64): the same seed gives the same corpus on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }

    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        among.get(self.below(among.len()))
    }

    fn run(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length).filter_map(|_| self.pick(&letters).copied()).collect()
    }
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

/// One token of a template.
pub fn token(template: &str, random: &mut Random) -> String {
    let mut made = String::new();
    let mut last_run = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        made.push_str(&rest[..open]);
        let close = rest[open..].find('}').map_or(rest.len() - 1, |close| open + close);
        let part = piece(&rest[open + 1..close], &last_run, random);
        made.push_str(&part);
        last_run = part;
        rest = &rest[close + 1..];
    }
    made.push_str(rest);
    made
}

fn piece(name: &str, last_run: &str, random: &mut Random) -> String {
    let alphanumeric = [UPPER, LOWER, DIGITS].concat();
    match name {
        "uuid" => {
            let hex = random.run("0123456789abcdef", 32);
            return [&hex[..8], &hex[8..12], &format!("4{}", &hex[13..16]), &format!("a{}", &hex[17..20]), &hex[20..]]
                .join("-");
        }
        "crc" => return base62(crc32(last_run.as_bytes())),
        "discord" => {
            let id = format!("{}{}", 1_000_000, random.run(DIGITS, 11));
            let head = base64(id.as_bytes(), URL);
            return format!(
                "{}.{}.{}",
                &head[..23],
                random.run(&[&alphanumeric, "_-"].concat(), 6),
                random.run(&[&alphanumeric, "_-"].concat(), 38)
            );
        }
        "jwt" => {
            let claims =
                format!(r#"{{"sub":"{}","iat":{}}}"#, random.run(DIGITS, 10), 1_700_000_000 + random.below(9_999_999));
            let header = base64(br#"{"alg":"HS256","typ":"JWT"}"#, URL);
            return format!(
                "{header}.{}.{}",
                base64(claims.as_bytes(), URL),
                random.run(&[&alphanumeric, "_-"].concat(), 43)
            );
        }
        "pem" => {
            let alphabet = [&alphanumeric, "+/"].concat();
            let lines: Vec<String> = (0..6 + random.below(20)).map(|_| random.run(&alphabet, 64)).collect();
            return format!("MIIE{}\n{}==", &lines.join("\n")[4..], random.run(&alphabet, 22));
        }
        _ => {}
    }
    let Some((class, length)) = name.split_once(':') else { return String::new() };
    let (shortest, longest) = length.split_once('-').unwrap_or((length, length));
    let shortest: usize = shortest.parse().unwrap_or(0);
    let longest: usize = longest.parse().unwrap_or(shortest);
    let length = shortest + random.below(longest + 1 - shortest);
    let alphabet = match class {
        "n" => alphanumeric,
        "l" => [LOWER, DIGITS].concat(),
        "u" => [UPPER, DIGITS].concat(),
        "a" => LOWER.to_owned(),
        "A" => [UPPER, LOWER].concat(),
        "d" => DIGITS.to_owned(),
        "h" => "0123456789abcdef".to_owned(),
        "H" => "0123456789ABCDEF".to_owned(),
        "w" => [&alphanumeric, "_-"].concat(),
        "b" => [&alphanumeric, "+/"].concat(),
        "2" => [UPPER, "234567"].concat(),
        "c" => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".to_owned(),
        other => unreachable!("no class {other}"),
    };
    let run = random.run(&alphabet, length);
    // Nobody hands out tokens that end in a hyphen: too many of them would be cut off when copied.
    if class == "w" && run.ends_with('-') { format!("{}7", &run[..run.len() - 1]) } else { run }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

fn base62(mut number: u32) -> String {
    let digits: Vec<char> = [DIGITS, UPPER, LOWER].concat().chars().collect();
    let mut text = Vec::new();
    for _ in 0..6 {
        text.push(digits[(number % 62) as usize]);
        number /= 62;
    }
    text.iter().rev().collect()
}

pub const STANDARD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
pub const URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 with this alphabet; its 65th letter, if it has one, is the padding.
pub fn base64(bytes: &[u8], alphabet: &str) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            if index <= chunk.len() {
                text.push(letters[(word >> (18 - 6 * index) & 63) as usize]);
            } else if let Some(padding) = letters.get(64) {
                text.push(*padding);
            }
        }
    }
    text
}

/// What a token is carried in: `{v}` is the variable, `{V}` the same in upper case, `{t}` the token.
pub const CARRIERS: &[(&str, &str)] = &[
    ("env file", "# settings\nPORT=8080\n{V}={t}\nDEBUG=false\n"),
    ("quoted env file", "HOST=localhost\n{V}=\"{t}\"\nLEVEL=info\n"),
    ("shell export", "#!/bin/sh\nset -e\nexport {V}={t}\n./deploy --region eu\n"),
    ("json", "{\n  \"name\": \"worker\",\n  \"{v}\": \"{t}\",\n  \"replicas\": 3\n}\n"),
    ("compact json", "{\"user\":\"app\",\"{v}\":\"{t}\",\"ttl\":3600}"),
    ("yaml", "service:\n  name: worker\n  {v}: {t}\n  replicas: 3\n"),
    ("quoted yaml", "env:\n  - name: MODE\n    value: prod\n  - name: {V}\n    value: \"{t}\"\n"),
    ("toml", "[remote]\nurl = \"https://example.com\"\n{v} = \"{t}\"\n"),
    ("ini", "[default]\nregion = eu-west-1\n{v} = {t}\noutput = json\n"),
    ("python", "import os\n\n{V} = '{t}'\nclient = Client({V}, timeout=30)\n"),
    ("javascript", "const client = new Client({\n  {v}: '{t}',\n  retries: 2,\n});\n"),
    ("go", "package main\n\nvar {v} = \"{t}\"\n\nfunc main() { run({v}) }\n"),
    ("java", "public class Config {\n  private static final String {V} = \"{t}\";\n}\n"),
    ("dockerfile", "FROM alpine\nENV {V}={t}\nRUN make\n"),
    ("terraform", "variable \"{v}\" {\n  type    = string\n  default = \"{t}\"\n}\n"),
    ("log line", "2026-03-04T10:11:12Z INFO client started {v}={t} region=eu\n"),
    ("diff", "--- a/.env\n+++ b/.env\n@@ -1,2 +1,3 @@\n MODE=prod\n+{V}={t}\n"),
    ("command line", "$ ./tool login --{v} {t} --verbose\n"),
    ("xml", "<config><add key=\"{v}\" value=\"{t}\"/></config>\n"),
    ("markdown", "Set the `{V}`:\n\n```sh\n{V}={t} npm start\n```\n"),
];

/// Where a token of several lines stands.
pub const LONG_CARRIERS: &[(&str, &str)] =
    &[("file", "{t}\n"), ("python", "KEY = \"\"\"{t}\"\"\"\n"), ("heredoc", "cat > key.pem <<EOF\n{t}\nEOF\n")];

/// Text that carries tokens which say themselves what they are, without any name.
pub const BARE_CARRIERS: &[(&str, &str)] = &[
    ("prose", "The build used {t} yesterday, please rotate it.\n"),
    ("message", "hey, can you try with {t}\n"),
    ("csv", "17,app,{t},2026-01-01\n"),
    ("stack trace", "  File \"/srv/app/client.py\", line 12, in call\nHTTPError: 401 for {t}\n"),
];

/// A text with the token in it, and where the token stands.
pub fn carry(carrier: &str, variable: &str, token: &str) -> (String, std::ops::Range<usize>) {
    let mut text = String::new();
    let mut span = 0..0;
    let mut rest = carrier;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        match rest.get(open..open + 3) {
            Some("{v}") => text.push_str(&variable.to_lowercase()),
            Some("{V}") => text.push_str(&variable.to_uppercase()),
            Some("{t}") => {
                span = text.len()..text.len() + token.len();
                text.push_str(token);
            }
            _ => {
                let _ = text.write_char('{');
                rest = &rest[open + 1..];
                continue;
            }
        }
        rest = &rest[open + 3..];
    }
    text.push_str(rest);
    (text, span)
}
