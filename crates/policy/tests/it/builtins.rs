//! The shipped rulesets and personas keep what they promise.

use bartizan_policy::{Policy, PolicySet, builtin};

use crate::support::{context, verdict};

fn builtin_set(name: &str) -> PolicySet {
    PolicySet::new(Policy::builtin(name).unwrap_or_else(|| panic!("{name}")), None, context()).unwrap()
}

#[test]
fn each_loads_and_keeps_its_own_tests() {
    let mut broken = Vec::new();
    for name in builtin::NAMES {
        let policy = Policy::load(
            &bartizan_policy::Source::new(format!("builtin:{name}"), builtin::text(name).unwrap()),
            &bartizan_policy::BuiltinsOnly,
        );
        if let Err(errors) = policy {
            broken.push(errors.to_string());
            continue;
        }
        let set = builtin_set(name);
        assert_eq!(set.user().name(), Some(name));
        let results = set.run_tests();
        assert!(results.len() >= 8, "{name} promises too little");
        for result in results.into_iter().filter(|result| !result.passed()) {
            broken.push(format!("{}: {}: {}", result.place, result.action, result.problem.unwrap_or_default()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A rule set for a service grants, so it is held against a ruleset that grants nothing.
#[test]
fn each_service_keeps_its_own_tests() {
    for name in builtin::SERVICES {
        let text = format!("extends: strict\n{}", builtin::text(name).unwrap());
        let source = bartizan_policy::Source::new(format!("builtin:{name}"), text);
        let policy = Policy::load(&source, &bartizan_policy::BuiltinsOnly).unwrap_or_else(|errors| panic!("{errors}"));
        let set = PolicySet::new(policy, None, context()).unwrap();
        assert_eq!(set.user().name(), Some(name));
        let results = set.run_tests();
        assert!(results.len() >= 4, "{name} promises too little");
        if let Some(result) = results.into_iter().find(|result| !result.passed()) {
            panic!("{}: {}: {}", result.place, result.action, result.problem.unwrap_or_default());
        }
        let warnings: Vec<String> = set.lint().into_iter().map(|warning| warning.to_string()).collect();
        assert!(warnings.is_empty(), "{}", warnings.join("\n"));
        assert!(set.layers().net.inspects_http, "{name}");
    }
}

#[test]
fn each_is_free_of_warnings() {
    let sets = builtin::NAMES.iter().map(|name| builtin_set(name));
    let warnings: Vec<String> = sets.flat_map(|set| set.lint()).map(|warning| warning.to_string()).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
}

#[test]
fn none_gives_away_keys_or_control() {
    for name in builtin::NAMES {
        let set = builtin_set(name);
        for action in [
            "file.read ~/.ssh/id_ed25519",
            "file.read ~/.aws/credentials",
            "file.read ~/.bartizan/keys/ledger",
            "file.write ~/.bartizan/config.yaml",
            "file.read ~/.config/gh/hosts.yml",
            "file.read ~/project/.env",
            "file.read ./.env.production",
            "file.write ./bartizan.yaml",
            "file.write ~/.bashrc",
            "file.write /etc/profile",
            "file.write ./.git/hooks/post-checkout",
            "connect 169.254.169.254:80",
            "connect [fd00:ec2::254]:80",
            "connect 127.0.0.1:22",
            "connect 10.0.0.1:443",
            "dns example.com TXT",
        ] {
            assert!(verdict(&set, action).starts_with("deny "), "{name}: {action}: {}", verdict(&set, action));
        }
    }
}

/// What the reference shows can be pasted: every YAML block is a policy or a part of one.
#[test]
fn the_reference_shows_valid_policies() {
    let reference = include_str!("../../../../docs/policy.md");
    let blocks: Vec<&str> = reference.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 8);
    for block in blocks {
        let whole = if block.contains("bartizan: 1") { block.to_owned() } else { format!("bartizan: 1\n{block}") };
        if let Err(errors) = bartizan_policy::parse(whole.as_bytes()) {
            panic!("{errors}\n{whole}");
        }
    }
}

#[test]
fn digests_tell_policies_apart_and_nothing_else() {
    let mut digests: Vec<_> = builtin::NAMES.iter().map(|name| builtin_set(name).digest()).collect();
    assert_eq!(digests[0], builtin_set("strict").digest());
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), builtin::NAMES.len());
    let one = crate::support::set("name: a\nnet: { allow: [x.org] }");
    let two = crate::support::set("net:\n  allow:\n    - x.org # the same\nname: b");
    assert_eq!(one.digest(), two.digest());
    assert_ne!(one.digest(), crate::support::set("net: { ask: [x.org] }").digest());
    assert_ne!(one.digest(), crate::support::narrowed("net: { allow: [x.org] }", "net: {}").digest());
}
