//! Secrets as a person keeps them: values go in by prompt, standard input, file or variable, and come out only by
//! `--reveal`; every use is on record, and no value is anywhere but sealed.

use std::fs;
use std::path::Path;

use bartizan_testkit::Output;
use serde_json::Value;

use crate::world::World;

/// A value nobody else writes. It has no form of its own, so only who knows it can keep it out of a text.
const CANARY: &str = "canary+value/that~nobody writes&else";

pub fn set(world: &World, name: &str, value: &str) -> Output {
    world.bartizan(["secret", "set", name]).stdin(format!("{value}\n")).success()
}

/// Every file below a directory that holds these bytes.
pub fn holding(directory: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(holding(&path, bytes));
        } else if fs::read(&path).is_ok_and(|text| text.windows(bytes.len()).any(|window| window == bytes)) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn notes(world: &World, topic: &str) -> Vec<Value> {
    world.rows().into_iter().filter(|row| row["record"]["topic"] == topic).collect()
}

#[test]
fn values_go_in_and_come_out_only_when_asked_for() {
    World::each(|world| {
        set(&world, "KEY", CANARY);
        let again = world.bartizan(["secret", "set", "KEY"]).stdin("other value").output();
        assert!(!again.status.success() && again.stderr.contains("secret rotate KEY"), "{again}");
        let file = world.home.write_home("value.txt", "from a file\n");
        world.bartizan(["secret", "rotate", "KEY", "--file"]).arg(&file).success();
        world.bartizan(["secret", "set", "PEM", "--exact", "--file"]).arg(&file).success();

        let shown = |options: &[&str]| world.bartizan(["secret", "show"]).args(options).success().stdout;
        assert_eq!(shown(&["KEY", "--reveal"]), "from a file\n");
        assert_eq!(shown(&["KEY", "--reveal", "--version", "1"]), format!("{CANARY}\n"));
        assert_eq!(shown(&["PEM", "--reveal"]), "from a file\n\n");
        let told = shown(&["KEY"]) + &shown(&["KEY", "--json"]) + &world.bartizan(["secret", "list"]).success().stdout;
        assert!(told.contains("version 2") && !told.contains("from a file") && !told.contains(CANARY), "{told}");
        let listed: Value =
            serde_json::from_str(&world.bartizan(["secret", "list", "--json"]).success().stdout).unwrap();
        assert_eq!(listed[0]["name"], "KEY");
        assert_eq!(listed[0]["versions"].as_array().unwrap().len(), 2);

        world.bartizan(["secret", "remove", "KEY"]).success();
        let gone = world.bartizan(["secret", "show", "KEY", "--reveal"]).output();
        assert!(!gone.status.success() && gone.stderr.contains("secret list"), "{gone}");
        for (topic, times) in [("set", 2), ("rotate", 1), ("reveal", 3), ("remove", 1)] {
            assert_eq!(notes(&world, &format!("secret.{topic}")).len(), times, "{topic}");
        }
        world.verify();
        assert_eq!(holding(&world.home.bartizan_home(), CANARY.as_bytes()), [""; 0]);
    });
}

#[test]
fn no_value_is_taken_as_an_argument_or_shown_on_the_terminal() {
    let world = World::new(bartizan_testkit::User::Current);
    let refused = world.bartizan(["secret", "set", "KEY", CANARY]).output();
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused}");
    let empty = world.bartizan(["secret", "set", "KEY"]).stdin("\n").output();
    assert!(!empty.status.success() && empty.stderr.contains("--file"), "{empty}");
    for bad in ["../KEY", "a b", ""] {
        assert!(!world.bartizan(["secret", "set", bad]).stdin("some value").output().status.success(), "{bad:?}");
    }

    let mut terminal = world.bartizan(["secret", "set", "TYPED"]).terminal(24, 80);
    terminal.wait_for_text("value of TYPED:");
    terminal.write(&format!("{CANARY}\r"));
    terminal.wait_for_text("version 1 is kept");
    assert!(terminal.wait().success());
    let raw = terminal.raw();
    assert!(!String::from_utf8_lossy(&raw).contains("canary"));
    assert!(terminal.shows_keys());
    assert_eq!(world.bartizan(["secret", "show", "TYPED", "--reveal"]).success().stdout, format!("{CANARY}\n"));

    let mut terminal = world.bartizan(["secret", "set", "LEFT"]).terminal(24, 80);
    terminal.wait_for_text("value of LEFT:");
    terminal.write("half a val\x03");
    terminal.wait_for_text("interrupted; nothing was kept");
    assert!(!terminal.wait().success() && terminal.shows_keys());
    assert!(!world.bartizan(["secret", "show", "LEFT"]).output().status.success());

    let mut terminal = world.bartizan(["secret", "set", "LONG"]).terminal(24, 80);
    terminal.wait_for_text("value of LONG:");
    terminal.write(&format!("{}\r", "x".repeat(5000)));
    terminal.wait_for_text("--file");
    assert!(!terminal.wait().success() && terminal.shows_keys());
}

#[test]
fn grants_say_where_a_secret_may_go() {
    let world = World::new(bartizan_testkit::User::Current);
    set(&world, "KEY", CANARY);
    let grant = |options: &[&str]| world.bartizan(["secret", "grant", "KEY"]).args(options).output();
    let bound = grant(&["--host", "api.test", "--method", "get,post", "--path", "/v1/**", "--at", "header.X-Key"]);
    assert!(bound.stdout.contains("GET,POST api.test/v1/** at header.x-key"), "{bound}");
    for (bad, word) in [
        (["--host", "*", "--at", "header.a"], "by name"),
        (["--host", "*.co.uk", "--at", "header.a"], "public suffix"),
        (["--host", "api.test", "--at", "path"], "header.<name>"),
        (["--host", "api.test", "--at", "header.host"], "no secret stands"),
    ] {
        let refused = grant(&bad);
        assert!(!refused.status.success() && refused.stderr.contains(word), "{refused}");
    }
    let unknown = world.bartizan(["secret", "grant", "OTHER", "--host", "a.test", "--at", "header.a"]).output();
    assert!(!unknown.status.success(), "{unknown}");
    assert!(world.bartizan(["secret", "show", "KEY"]).success().stdout.contains("grant 1  GET,POST api.test/v1/**"));
    assert!(grant(&["--revoke", "1"]).status.success());
    assert!(!world.bartizan(["secret", "show", "KEY"]).success().stdout.contains("grant"));
    assert_eq!((notes(&world, "secret.grant").len(), notes(&world, "secret.revoke").len()), (1, 1));
}

#[test]
fn variables_are_taken_over() {
    let world = World::new(bartizan_testkit::User::Current);
    let import = |value: &str| {
        world.bartizan(["secret", "import", "--from-env", "API_KEY"]).env("API_KEY", value).success();
        world.bartizan(["secret", "show", "API_KEY", "--reveal"]).success().stdout
    };
    assert_eq!(import(CANARY), format!("{CANARY}\n"));
    assert_eq!(import("another value"), "another value\n");
    let missing = world.bartizan(["secret", "import", "--from-env", "NOT_SET"]).output();
    assert!(!missing.status.success() && missing.stderr.contains("NOT_SET"), "{missing}");
}

#[test]
fn the_environment_is_a_store_when_asked_for() {
    let world = World::new(bartizan_testkit::User::Current);
    world.home.write_home(".bartizan/config.yaml", "bartizan: 1\nsecrets: { store: environment }\n");
    let show = world.bartizan(["secret", "show", "API_KEY", "--reveal"]).env("API_KEY", CANARY).success();
    assert_eq!(show.stdout, format!("{CANARY}\n"));
    let written = world.bartizan(["secret", "set", "OTHER"]).stdin("some value").output();
    assert!(!written.status.success() && written.stderr.contains("can't be written"), "{written}");
}

#[test]
fn a_vault_open_to_others_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new(bartizan_testkit::User::Current);
    set(&world, "KEY", CANARY);
    let key = world.home.bartizan_home().join("vault/key.txt");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = world.bartizan(["secret", "show", "KEY", "--reveal"]).output();
    assert!(!refused.status.success() && refused.stderr.contains("chmod 600"), "{refused}");
}

/// What a filter took out comes back only with the key that the vault keeps, and not without a word in the ledger.
#[test]
fn what_was_sealed_is_restored_with_the_vaults_key() {
    World::each(|world| {
        let text = "call jane.miller@contoso.com\n";
        let redact =
            |arguments: &[&str], text: &str| world.bartizan(["redact"]).args(arguments).stdin(text).success().stdout;
        let early = world.bartizan(["redact", "--restore"]).stdin(text).output();
        assert!(!early.status.success() && early.stderr.contains("REDACTION_KEY"), "{early}");
        let first = redact(&["--style", "token"], text);
        assert!(first.contains("[sealed:email:") && !first.contains("contoso"), "{first}");
        // A rotated key seals anew, and what the old one sealed is not lost.
        let other = world.home.write_home("other.key", "ab".repeat(32));
        world.bartizan(["secret", "rotate", "REDACTION_KEY", "--file"]).arg(other).success();
        let second = redact(&["--style", "token"], text);
        assert_eq!(redact(&["--restore"], &format!("{first}{second}")), text.repeat(2));
        assert_eq!((notes(&world, "secret.seal").len(), notes(&world, "secret.restore").len()), (2, 1));
        world.verify();
        // Elsewhere it is of no use.
        let stranger = World::new(world.user());
        redact(&["--style", "token"], text);
        stranger.bartizan(["redact", "--style", "token"]).stdin(text).success();
        assert_eq!(stranger.bartizan(["redact", "--restore"]).stdin(first.as_str()).success().stdout, first);
    });
}
