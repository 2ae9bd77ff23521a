//! Bundles: one form, one digest, nothing outside; overlays only narrow.

use std::collections::BTreeMap;

use bartizan_model::Effect;
use bartizan_policy::bundle::{Bundle, BundleError};
use bartizan_policy::{BuiltinsOnly, Policy, PolicySet, builtin, parse_case};

use crate::support;

const MANIFEST: &str =
    "bundle: 1\nname: acme\nversion: 1.2\npolicy: policy.yaml\noverlays: [gdpr, overlays/own.yaml]\n";

fn files() -> BTreeMap<String, Vec<u8>> {
    [
        ("bundle.yaml", MANIFEST),
        ("policy.yaml", "bartizan: 1\nextends: ./base/base.yaml\nnet: { default: allow }\nrego: [rego/main.rego]\n"),
        ("base/base.yaml", "bartizan: 1\nexec: { default: allow }\nrego: [../rego/more.rego]\n"),
        ("overlays/own.yaml", "bartizan: 1\nnet: { deny: [evil.example] }\n"),
        ("personas/intern.yaml", "bartizan: 1\nextends: strict\n"),
        ("rego/main.rego", "package bartizan\ndeny contains \"no rm\" if input.deed.args[0] == \"rm\"\n"),
        ("rego/more.rego", "package bartizan\nask contains \"dd\" if input.deed.args[0] == \"dd\"\n"),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
    .collect()
}

fn with(path: &str, text: &str) -> Result<Bundle, BundleError> {
    let mut files = files();
    files.insert(path.to_owned(), text.as_bytes().to_vec());
    Bundle::new(files, None)
}

#[test]
fn the_same_files_give_the_same_bundle() {
    let bundle = Bundle::new(files(), None).unwrap();
    assert_eq!(bundle.digest(), Bundle::new(files(), None).unwrap().digest());
    assert_ne!(bundle.digest(), with("policy.yaml", "bartizan: 1\n").unwrap().digest());
    let again = Bundle::from_statement(bundle.statement()).unwrap();
    assert_eq!(again.digest(), bundle.digest());
    assert_eq!((again.manifest().name.as_str(), again.manifest().version.to_string()), ("acme", "1.2.0".to_owned()));
    let statement: serde_json::Value = serde_json::from_slice(bundle.statement()).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"].as_array().unwrap().len(), 7);
}

#[test]
fn its_parts_work_together() {
    let bundle = Bundle::new(files(), None).unwrap();
    let set = PolicySet::new(bundle.policy().unwrap(), bundle.overlays().unwrap(), support::context()).unwrap();
    for (action, expected) in [
        ("exec ls", "allow exec.default builtin"),
        ("exec rm x", "deny rego.deny bundle:acme@1.2.0/rego/more.rego"),
        ("exec dd x", "ask rego.ask bundle:acme@1.2.0/rego/more.rego"),
        ("connect evil.example:443", "deny net.deny[0] bundle:acme@1.2.0/overlays/own.yaml:2"),
        ("connect good.example:443", "allow"),
    ] {
        let told = support::verdict(&set, action);
        let short = expected.strip_suffix(" builtin").unwrap_or(expected);
        assert!(told.starts_with(short), "{action}: {told}");
    }
    assert!(bundle.persona("intern").unwrap().is_ok());
    assert!(bundle.persona("nobody").is_none());
}

#[test]
fn a_bundle_with_a_mistake_is_none() {
    let long = "x".repeat(3_000_000);
    for (path, text, problem) in [
        ("bundle.yaml", "", "empty"),
        ("bundle.yaml", "bundle: 2\nname: a\nversion: 1\npolicy: policy.yaml", "form 2"),
        ("bundle.yaml", "bundle: 1\nname: a/b\nversion: 1\npolicy: policy.yaml", "no name of a bundle"),
        ("bundle.yaml", "bundle: 1\nname: a\nversion: one\npolicy: policy.yaml", "three numbers"),
        ("bundle.yaml", "bundle: 1\nname: a\nversion: 1\npolicy: other.yaml", "names `other.yaml`"),
        ("bundle.yaml", "bundle: 1\nname: a\nversion: 1\npolicy: policy.yaml\noverlays: [gpdr]", "did you mean `gdpr`"),
        ("bundle.yaml", "bundle: 1\nname: a\nversion: 1\npolicy: policy.yaml\ntypo: 1", "unknown key `typo`"),
        ("policy.yaml", "bartizan: 1\nextends: ../outside.yaml", "outside the bundle"),
        ("policy.yaml", "bartizan: 1\nextends: /etc/passwd.yaml", "not in the bundle"),
        ("policy.yaml", "bartizan: 1\nnett: {}", "unknown key `nett`"),
        ("policy.yaml", "bartizan: 1\nguards: [{ wasm: ./own.wasm }]", "carries no WebAssembly"),
        ("rego/main.rego", "package bartizan\ndeny := 1", "must be a set"),
        ("personas/intern.yaml", "bartizan: 2", "version 2"),
        ("overlays/own.yaml", "bartizan: 1\nextends: ./own.yaml", "circle"),
        ("a b.yaml", "", "letters, digits"),
        ("big.yaml", &long, "split it"),
    ] {
        let told = with(path, text).map(drop).unwrap_err().to_string();
        assert!(told.contains(problem), "{path} {}: {told}", &text[..text.len().min(80)]);
    }
    let mut missing = files();
    missing.remove("bundle.yaml");
    assert!(matches!(Bundle::new(missing, None), Err(BundleError::NoManifest)));
    let mut binary = files();
    binary.insert("x.yaml".into(), vec![0xff]);
    assert!(Bundle::new(binary, None).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn a_statement_has_one_form() {
    let bundle = Bundle::new(files(), Some("0123".into())).unwrap();
    let text = String::from_utf8(bundle.statement().to_vec()).unwrap();
    for changed in [
        text.replace("\"name\":\"acme\",\"version\"", "\"name\":\"other\",\"version\""),
        text.replace("1.2.0", "1.3.0"),
        text.replace("policy-bundle/v1", "policy-bundle/v2"),
        text.replace("no rm", "no mr"),
        format!("{text} "),
        text.replacen('{', "{\"extra\":1,", 1),
        "{}".to_owned(),
        String::new(),
    ] {
        assert_ne!(changed, text);
        assert!(Bundle::from_statement(changed.as_bytes()).is_err(), "{}", &changed[..changed.len().min(200)]);
    }
}

/// Whatever an overlay is laid over, nothing gets wider, and each holds back something.
#[test]
fn overlays_only_narrow() {
    let actions = [
        "exec git push origin",
        "exec ls",
        "exec sudo ls",
        "exec terraform apply",
        "connect api.github.com:443",
        "connect x.us-east-1.amazonaws.com:443",
        "connect x.eu-west-1.amazonaws.com:443",
        "connect example.com:80",
        "file.read ~/work/phi/x",
        "file.read ~/work/cardholder/x",
        "file.write ~/work/.github/workflows/a.yml",
    ];
    for base in ["permissive", "standard", "strict"] {
        let plain = PolicySet::new(Policy::builtin(base).unwrap(), None, support::context()).unwrap();
        for name in builtin::OVERLAYS {
            let source = builtin::overlay_source(name).unwrap();
            let overlay = Policy::load(&source, &BuiltinsOnly).unwrap_or_else(|errors| panic!("{errors}"));
            let set = PolicySet::new(Policy::builtin(base).unwrap(), Some(overlay), support::context()).unwrap();
            for action in actions {
                let deed = parse_case(action, set.context()).unwrap();
                assert!(set.decide(&deed).effect() >= plain.decide(&deed).effect(), "{base} {name} {action}");
            }
        }
    }
    let effect = |overlay: &str, action: &str| {
        let overlay = Policy::load(&builtin::overlay_source(overlay).unwrap(), &BuiltinsOnly).unwrap();
        let open = support::load(
            "exec: { default: allow }\nnet: { default: allow }\nfiles: { read: [~/work/**], write: [~/work/**] }\n",
        );
        let set = PolicySet::new(open, Some(overlay), support::context()).unwrap();
        let deed = parse_case(action, set.context()).unwrap();
        set.decide(&deed).effect()
    };
    for (overlay, held, free) in [
        ("soc2", "exec terraform apply", "exec ls"),
        ("hipaa", "file.read ~/work/phi/x", "file.read ~/work/x"),
        ("pci", "connect example.com:80", "connect example.com:443"),
        ("eu", "connect s3.us-east-1.amazonaws.com:443", "connect s3.eu-west-1.amazonaws.com:443"),
        ("us", "connect s3.eu-west-1.amazonaws.com:443", "connect s3.us-east-1.amazonaws.com:443"),
    ] {
        assert!(effect(overlay, held) > Effect::Allow, "{overlay} {held}");
        assert_eq!(effect(overlay, free), Effect::Allow, "{overlay} {free}");
    }
}
