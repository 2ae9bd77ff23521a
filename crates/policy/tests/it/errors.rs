//! What is wrong with a policy is said at once, with place and remedy.

use bartizan_policy::{BuiltinsOnly, POLICY_BYTES_MAX, Policy, Source, parse};
use expect_test::{Expect, expect};

use crate::support::InMemory;

fn check(yaml: &str, expect: Expect) {
    let errors = Policy::load(&Source::new("p.yaml", yaml), &BuiltinsOnly).unwrap_err();
    expect.assert_eq(&errors.to_string());
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    check(
        "bartizan: 1\nnet:\n  alow: [x.org]\n",
        expect!["p.yaml:3:3: unknown key `alow` in `net`; did you mean `allow`?"],
    );
    check("bartizan: 1\nflows: []\n", expect!["p.yaml:2:1: unknown key `flows` in the policy; did you mean `flow`?"]);
    check(
        "bartizan: 1\nnet:\n  allow:\n    - host: a.org\n      secret: { x: y }\n",
        expect![[r#"
            p.yaml:5:17: `x` is no place in a request; write `header.<name>`, `query.<name>`, `basic.user`, `basic.password` or `json.<field>`
            p.yaml:5:15: `secret` binds nothing; write where a secret stands, such as `header.authorization: "Bearer ${GITHUB_TOKEN}"`"#]],
    );
    check(
        "bartizan: 1\nnet:\n  allow:\n    - host: a.org\n      cookies: { x: y }\n",
        expect![
            "p.yaml:5:7: unknown key `cookies` in a net rule; known are host, ports, http, address, private, secret, llm, pins"
        ],
    );
}

#[test]
fn all_errors_are_told() {
    check(
        "bartizan: 2\nfiles: { read: [src/**, '~/a/**/*.rs', 5, '/a{'], write: x, default: maybe }\nnet: { allow: ['*.com', 'a:b', {ports: [1]}, {host: a.b, ports: 70000, http: [{method: 'G T', path: x}]}] }\nlimits: { memory: lots, pids: 0, time: 5 }\ntests: [{allow: 'fly away'}, {}]",
        expect![[r#"
            p.yaml:2:17: `src/**` doesn't say where it starts; write `./src/**` for the workspace or `**/src/**` for anywhere
            p.yaml:2:25: `~/a/**/*.rs`: the box can only grant whole trees or single files; write `~/a/**`, or name the files
            p.yaml:2:40: `5`: the box can only grant whole trees or single files; say where it starts: `/…`, `~/…` or `./…`
            p.yaml:2:43: `/a{`: a brace is open or stands alone; write `{a,b}`
            p.yaml:2:58: must be a list (`[…]`), this is a single value
            p.yaml:2:70: `maybe` must be one of allow, ask, deny
            p.yaml:3:16: `*.com` would reach everybody under the public suffix `com`; name the hosts, or write `*` if every name is meant
            p.yaml:3:25: `b` is no port; write `443`, `8000-8100` or `*`
            p.yaml:3:32: a net rule needs the key `host`
            p.yaml:3:65: `70000` is no port; write `443`, `8000-8100` or `*`
            p.yaml:3:88: `G T` is no HTTP method
            p.yaml:3:101: `x` is no request path; it starts with `/`
            p.yaml:4:19: `lots`: a size is a number with a unit, such as `512MiB` or `4GiB`
            p.yaml:4:31: must be at least 1
            p.yaml:4:40: `5`: a time is a number with a unit, such as `90s`, `2m` or `1h30m`
            p.yaml:5:17: `fly away` is no action; write one such as `file.read ~/notes.txt`, `file.write ./x`, `exec git push origin`, `connect example.com:443`, `dns example.com`, `http GET https://example.com/x`, `tool server/name`, `secret NAME`, `content retrieved https://example.com words`, `model openai/gpt-5`, `message email/bob@example.com words`, `browser click https://example.com/cart Pay`, `computer type`
            p.yaml:5:30: a test has one of `allow`, `ask` and `deny`
            p.yaml:1:11: version 2 of the language is not known here; this Bartizan reads 1"#]],
    );
}

#[test]
fn hostile_yaml_is_refused() {
    check("", expect!["p.yaml:1:1: the policy is empty; the smallest is `bartizan: 1`, which denies everything"]);
    check(
        "# nothing\n",
        expect!["p.yaml:1:1: the policy is empty; the smallest is `bartizan: 1`, which denies everything"],
    );
    check(
        "[1]",
        expect![[r#"
        p.yaml:1:1: the policy must be a mapping (`key: value`), this is a list
        p.yaml:1:1: the key `bartizan` is missing; a policy starts with `bartizan: 1`"#]],
    );
    check("bartizan: 1\nbartizan: 1\n", expect!["p.yaml:2:1: key `bartizan` stands here twice; join the two"]);
    check(
        "bartizan: 1\nname: &a x\ndescription: *a\n",
        expect!["p.yaml:2:7: anchors are not supported; write the value out"],
    );
    check(
        "bartizan: 1\nfiles: { deny: [**/.env] }\n",
        expect![
            "p.yaml:2:17: not valid YAML: while parsing node, found unknown anchor; text that starts with `*` or `&` stands in quotes"
        ],
    );
    check(
        "bartizan: 1\nname: !!str x\n",
        expect!["p.yaml:2:7: tags (`!…`) are not supported; quote the text if it starts with `!`"],
    );
    check(
        "bartizan: 1\n---\nbartizan: 1\n",
        expect!["p.yaml:2:1: a policy is one YAML document; remove what follows `---`"],
    );
    check("bartizan: 1\n? [a]\n: b\n", expect!["p.yaml:2:3: a key must be a single value"]);
    check(
        "bartizan: 1\nname: [x\n",
        expect!["p.yaml:3:1: not valid YAML: while parsing a flow sequence, expected ',' or ']'"],
    );
    check(&format!("bartizan: 1\nname: {}", "[".repeat(100)), expect!["p.yaml:2:22: nested deeper than 16 levels"]);
    check(
        &format!("bartizan: 1\n#{}", "x".repeat(POLICY_BYTES_MAX)),
        expect!["p.yaml:1:1: a policy has at most 1048576 bytes, this one has 1048589"],
    );
    let errors = Policy::load(&Source::new("p.yaml", &b"bartizan: 1\nname: \xff"[..]), &BuiltinsOnly).unwrap_err();
    expect!["p.yaml:2:1: a policy is UTF-8 text, this byte is none"].assert_eq(&errors.to_string());
}

#[test]
fn extending_is_checked() {
    check(
        "bartizan: 1\nextends: standrd\n",
        expect!["p.yaml:2:10: there is no ruleset or persona `standrd`; did you mean `standard`?"],
    );
    check(
        "bartizan: 1\nextends: qqqqqqqq\n",
        expect![
            "p.yaml:2:10: there is no ruleset or persona `qqqqqqqq`; built in are strict, standard, permissive, coding_assistant, code_janitor, sre, secops, data_architect, github, gitlab, npm, pypi, crates_io, hugging_face, openai, anthropic, slack; a file is written with a slash: `./qqqqqqqq.yaml`"
        ],
    );
    check(
        "bartizan: 1\nextends: ./x.yaml\n",
        expect!["p.yaml:2:10: `./x.yaml` can't be read here; only built-ins can be extended"],
    );
    let files = InMemory(vec![
        ("a.yaml", "bartizan: 1\nextends: ./b.yaml".into()),
        ("b.yaml", "bartizan: 1\nextends: [./c.yaml]".into()),
        ("c.yaml", "bartizan: 1\nextends: ./a.yaml".into()),
    ]);
    let errors = Policy::load(&Source::new("a.yaml", "bartizan: 1\nextends: ./b.yaml"), &files).unwrap_err();
    expect!["c.yaml:2:10: `extends` goes in a circle: a.yaml → b.yaml → c.yaml → a.yaml"]
        .assert_eq(&errors.to_string());
}

#[test]
fn a_web_of_extends_stays_small() {
    let double = |next: usize| format!("bartizan: 1\nextends: [./{next}.yaml, ./{next}.yaml]");
    let names = ["0.yaml", "1.yaml", "2.yaml", "3.yaml", "4.yaml", "5.yaml", "6.yaml", "7.yaml", "8.yaml", "9.yaml"];
    let mut files: Vec<_> = names.iter().enumerate().map(|(index, name)| (*name, double(index + 1))).collect();
    files.push(("10.yaml", "bartizan: 1".into()));
    assert!(Policy::load(&Source::new("top.yaml", double(0)), &InMemory(files)).is_err());
}

/// Text made to be slow or to grow.
#[test]
fn hostile_text_is_refused() {
    let room = POLICY_BYTES_MAX - 64;
    for text in [
        "[".repeat(room),
        "{".repeat(room),
        "- ".repeat(room / 2),
        "a: ".repeat(room / 3),
        "? ".repeat(room / 2),
        "&a ".repeat(room / 3),
        "!a ".repeat(room / 3),
        "\"".repeat(room),
        "'".repeat(room),
        "\n".repeat(room),
        " ".repeat(room),
        "\t".repeat(room),
        "#".repeat(room),
        format!("bartizan: 1\nname: \"{}\"", "\\u00e9".repeat(room / 7)),
        format!("bartizan: 1\nnet: {{ allow: [{}] }}", "a.b,".repeat(room / 5)),
        format!("bartizan: 1\n{}", "k: v\n".repeat(room / 6)),
        format!("bartizan: 1\nname: |\n{}", " x\n".repeat(room / 4)),
        format!("bartizan: 1\nfiles: {{ deny: ['{}'] }}", "{a,b}".repeat(700)),
        format!("bartizan: 1\n{}", (0..100_000).map(|index| format!("k{index}: \n")).collect::<String>()),
        "%TAG ! x\n".repeat(room / 9),
        "--- \n".repeat(room / 5),
    ] {
        let head: String = text.chars().take(20).collect();
        assert!(parse(text.as_bytes()).is_err(), "{head}");
    }
}

#[test]
fn mistakes_in_sections_over_content_come_with_what_is_right() {
    check(
        "bartizan: 1\nflow: [{ when: { reed: untrusted }, ask: [exec] }]\n",
        expect![[r#"
            p.yaml:2:18: unknown key `reed` in `when`; did you mean `read`?
            p.yaml:2:16: `when` needs one of `read`, `after` and `argument`"#]],
    );
    check(
        "bartizan: 1\nflow: [{ when: { read: untrustd }, ask: [exce] }]\n",
        expect![[r#"
            p.yaml:2:24: `untrustd` is no label; did you mean `untrusted`?
            p.yaml:2:16: `when` needs one of `read`, `after` and `argument`
            p.yaml:2:42: `exce` is no class of actions; did you mean `exec`?
            p.yaml:2:8: a flow rule needs `ask` or `deny`, as in `ask: [exec, http.write]`"#]],
    );
    check(
        "bartizan: 1\nflow: [{ ask: [exec] }, { when: { read: secret, within: 2m }, deny: any }]\n",
        expect![[r#"
            p.yaml:2:8: a flow rule needs the key `when`
            p.yaml:2:33: `within` goes with `after`"#]],
    );
    check(
        "bartizan: 1\nprompts: { tool: { ask: 90, deny: 60 }, user: { ask: 101 } }\n",
        expect![[r#"
            p.yaml:2:25: `ask: 90` never applies: from 60 on it is refused already
            p.yaml:2:54: `101` is no score; write a number from 0 to 100"#]],
    );
    check(
        "bartizan: 1\nbudgets: { session: { cost: 5 }, tools: [{ server: x }], destinations: [{ requests: 1 }] }\n",
        expect![[r#"
            p.yaml:2:42: this budget limits nothing; add `requests`, `bytes`, `tokens` or `cost`
            p.yaml:2:73: a destination's budget needs the key `host`
            p.yaml:2:29: a budget of `cost` needs `prices`, as in `prices: [{ model: "*", input: 3, output: 15 }]`"#]],
    );
    check(
        "bartizan: 1\nlabels: { data: [{ label: internal }, { label: secret }], trusted: ['http://x'] }\n",
        expect![[r#"
            p.yaml:2:27: `internal` is no label; labels are secret, personal, untrusted and internal:<name>
            p.yaml:2:39: a label rule needs `files`, `hosts` or `tools`
            p.yaml:2:69: `http://x` is no address range; write one such as `10.0.0.0/8`"#]],
    );
    check(
        "bartizan: 1\ncontent: { secret: maybe, allow: [{}], score: -1 }\n",
        expect![[r#"
            p.yaml:2:20: `maybe` must be one of allow, redact, ask, deny
            p.yaml:2:35: a content rule needs one of the keys `class`, `kind` and `to`
            p.yaml:2:47: `-1` is no score; write a number from 0 to 100"#]],
    );
    check(
        "bartizan: 1\ntests: [{ allow: exec x, seen: secrt, read: nothing }]\n",
        expect![[r#"
            p.yaml:2:32: `secrt` is no sighting; did you mean `secret`?
            p.yaml:2:45: `nothing` is no label; labels are secret, personal, untrusted and internal:<name>"#]],
    );
}
