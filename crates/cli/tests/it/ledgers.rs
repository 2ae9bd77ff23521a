//! The ledger as people read, verify and hand it on, and what becomes of those who tamper with it.

use std::fs;
use std::path::{Path, PathBuf};

use bartizan_testkit::{Output, Run, User, eventually, tools};
use serde_json::Value;

use crate::world::World;

/// A ledger with two runs, something denied and something asked in it.
fn filled(world: &World) -> (String, String) {
    world.policy("exec: { deny: [\"touch **\"] }\nnet: { default: deny, resolver: \"{resolver}\" }");
    let runs = || {
        let mut runs: Vec<String> = Vec::new();
        for row in world.rows() {
            let run = row["record"]["action"]["run"].as_str().map(str::to_owned);
            runs.extend(run.filter(|run| !runs.contains(run)));
        }
        runs
    };
    drop(world.run_with(["--name", "first"], ["sh", "-c", "uname; touch x; true"]).output());
    drop(world.run_with(["--name", "second"], ["curl", "-sS", "http://denied.test/"]).output());
    let runs = runs();
    assert_eq!(runs.len(), 2, "{runs:?}");
    (runs[0].clone(), runs[1].clone())
}

fn list(world: &World, filters: &[&str]) -> Vec<Value> {
    world.bartizan(["log", "list", "--json"]).args(filters).success().json_lines()
}

#[test]
fn filters_find_what_they_say() {
    World::each(|world| {
        let (first, second) = filled(&world);
        let all = list(&world, &[]);
        let of = |run: &str| all.iter().filter(|row| row.to_string().contains(run)).count();
        assert_eq!(list(&world, &["--run", &first]).len(), of(&first));
        assert_eq!(list(&world, &["--run", &second]).len(), of(&second));
        let agents = list(&world, &["--agent", "first"]);
        assert!(!agents.is_empty() && agents.iter().all(|row| row["record"]["action"]["principal"]["name"] == "first"));
        let queries = list(&world, &["--action", "dns.query"]);
        assert!(
            !queries.is_empty() && queries.iter().all(|row| row["record"]["action"]["deed"]["name"] == "denied.test")
        );
        let denied = list(&world, &["--verdict", "deny"]);
        assert!(denied.len() >= 2 && denied.iter().all(|row| row["record"]["type"] == "refused"), "{denied:#?}");
        assert!(
            list(&world, &["--verdict", "deny", "--run", &first]).iter().all(|row| row.to_string().contains("touch"))
        );
        assert!(!list(&world, &["--text", "denied.test"]).is_empty());
        assert_eq!(list(&world, &["-n", "2"]).len(), 2);
        assert_eq!(list(&world, &["--since", "1h"]).len(), all.len());
        assert!(list(&world, &["--until", "1h"]).is_empty());
        assert!(list(&world, &["--since", "2999-01-01"]).is_empty());
        let middle = all[all.len() / 2]["at"].as_str().unwrap();
        let (before, after) = (list(&world, &["--until", middle]).len(), list(&world, &["--since", middle]).len());
        assert_eq!(before + after, all.len(), "a moment parts the ledger in two");
        for wrong in [["--action", "net.conect"], ["--verdict", "maybe"], ["--since", "soon"], ["--run", "x"]] {
            let refused = world.bartizan(["log", "list"]).args(wrong).output();
            assert!(!refused.status.success() && refused.stderr.contains(wrong[1]), "{refused}");
        }
        let table = world.bartizan(["log", "list"]).success();
        assert!(table.stdout.contains("denied.test") && table.stdout.contains("VERDICT"), "{table}");
        // The index is derived: without it nothing is lost.
        for file in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = fs::remove_file(world.home.bartizan_home().join(file));
        }
        assert_eq!(list(&world, &[]), all);
    });
}

#[test]
fn one_entry_is_shown_whole_and_tail_follows() {
    World::each(|world| {
        filled(&world);
        let entry = world.bartizan(["log", "show", "0"]).success().json();
        let action = entry["record"]["action"]["id"].as_str().unwrap();
        let shown = world.bartizan(["log", "show", action]).success().json();
        assert_eq!(shown["hash"], entry["hash"]);
        assert_eq!(shown["closed"]["record"]["outcome"]["status"], "done", "{shown:#}");
        for missing in ["999999", "act_01M7WBF7KB2CTNQZVZ5DY38TY8", "nonsense"] {
            let none = world.bartizan(["log", "show", missing]).output();
            assert!(!none.status.success() && none.stderr.contains("bartizan:"), "{none}");
        }
        let mut tail = world.bartizan(["log", "tail", "--json", "-n", "3"]).spawn();
        eventually("the newest come first", || tail.stdout().lines().count() >= 3);
        world.run(["uname", "-v"]).success();
        tail.wait_for_stdout("uname");
        let lines: Vec<Value> = tail.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let numbers: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        tail.signal(rustix::process::Signal::INT);
        drop(tail.wait());
    });
}

fn segments(world: &World) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(world.home.bartizan_home().join("ledger"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn broken(world: &World, what: &str) -> Output {
    let output = world.bartizan(["log", "verify"]).output();
    assert_eq!(output.code(), 1, "{what}: {output}");
    assert!(output.stdout.contains("BROKEN"), "{what}: {output}");
    output
}

#[test]
fn tampering_is_noticed_and_the_entry_named() {
    World::each(|world| {
        filled(&world);
        let good = world.bartizan(["log", "verify", "--json"]).success().json();
        assert_eq!(good["good"], true, "{good:#}");
        let segment = segments(&world).remove(0);
        let text = fs::read_to_string(&segment).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let tamper = |what: &str, lines: Vec<String>, seq: Option<u64>| {
            fs::write(&segment, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            broken(&world, what);
            let report = world.bartizan(["log", "verify", "--json"]).output().json();
            assert_eq!(report["good"], false, "{what}: {report:#}");
            if let Some(seq) = seq {
                assert_eq!(report["first_bad"]["seq"], seq, "{what}: {report:#}");
            }
            fs::write(&segment, &text).unwrap();
            world.verify();
        };
        let own = || lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
        let mut edited = own();
        assert!(edited[2].contains("\"at\""), "{}", edited[2]);
        edited[2] = edited[2].replacen("\"at\":\"2", "\"at\":\"3", 1);
        tamper("an edited entry", edited, Some(2));
        let mut removed = own();
        removed.remove(3);
        tamper("a removed entry", removed, Some(3));
        let mut swapped = own();
        swapped.swap(1, 2);
        tamper("two entries swapped", swapped, Some(1));
        let mut doubled = own();
        doubled.insert(2, doubled[1].clone());
        tamper("an entry put in", doubled, None);
        tamper("the tail cut", own()[..lines.len() - 2].to_vec(), None);
        tamper("everything cut", Vec::new(), None);
        let mut forged = own();
        forged.push(forged.last().unwrap().clone());
        tamper("an entry appended", forged, None);

        // A ledger that is broken takes nothing more.
        let mut edited = own();
        edited[0] = edited[0].replacen("\"at\":\"2", "\"at\":\"3", 1);
        fs::write(&segment, edited.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let doctor = world.bartizan(["doctor"]).output();
        assert!(!doctor.status.success() && doctor.stdout.contains("ledger"), "{doctor}");
        fs::write(&segment, &text).unwrap();
        world.run(["true"]).success();
    });
}

#[test]
fn an_old_copy_of_the_whole_home_is_noticed() {
    World::each(|world| {
        filled(&world);
        let home = world.home.bartizan_home();
        let old = world.home.user_home().join("old-copy");
        copy(&home.join("ledger"), &old);
        world.run(["uname"]).success();
        world.verify();
        let now = world.home.user_home().join("now");
        fs::rename(home.join("ledger"), &now).unwrap();
        fs::rename(&old, home.join("ledger")).unwrap();
        fs::set_permissions(home.join("ledger"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        world.user().own(&home.join("ledger"));
        let noticed = broken(&world, "an old copy");
        assert!(noticed.stdout.contains("witness"), "{noticed}");
    });
}

#[test]
fn a_torn_last_line_is_mended_and_said() {
    World::each(|world| {
        filled(&world);
        let segment = segments(&world).remove(0);
        let text = fs::read_to_string(&segment).unwrap();
        fs::write(&segment, format!("{text}{{\"seq\":9999,\"at\":\"20")).unwrap();
        world.run(["true"]).success();
        world.verify();
        assert!(fs::read_to_string(&segment).unwrap().starts_with(&text), "nothing whole was taken away");
        let said = world.rows().iter().any(|row| row["record"]["type"] == "noted" && row.to_string().contains("torn"));
        assert!(said, "{:#?}", world.rows());
    });
}

#[test]
fn an_export_is_verified_elsewhere() {
    World::each(|world| {
        filled(&world);
        let file = world.home.workspace().join("export.jsonl");
        world.bartizan(["log", "export"]).arg(&file).success();
        let elsewhere = bartizan_testkit::Home::of(world.user());
        for suffix in ["", ".checkpoint", ".pub"] {
            let name = format!("export.jsonl{suffix}");
            fs::copy(world.home.workspace().join(&name), elsewhere.workspace().join(&name)).unwrap();
            elsewhere.user().own(&elsewhere.workspace().join(&name));
        }
        let verify = || {
            elsewhere
                .bartizan([
                    "log",
                    "verify",
                    "export.jsonl",
                    "--key",
                    "export.jsonl.pub",
                    "--checkpoint",
                    "export.jsonl.checkpoint",
                ])
                .output()
        };
        let good = verify();
        assert!(good.status.success() && good.stdout.contains("verified"), "{good}");
        let copy = elsewhere.workspace().join("export.jsonl");
        let text = fs::read_to_string(&copy).unwrap();
        let cut: String = text.lines().take(text.lines().count() - 1).map(|line| format!("{line}\n")).collect();
        fs::write(&copy, cut).unwrap();
        let bad = verify();
        assert!(bad.code() == 1 && bad.stdout.contains("BROKEN"), "{bad}");
    });
}

#[test]
fn a_receipt_is_verified_with_the_public_key_alone() {
    World::each(|world| {
        filled(&world);
        let allowed = world.deed("exec.run", "uname")["record"]["action"]["id"].as_str().unwrap().to_owned();
        let denied = world.deed("dns.query", "denied.test")["record"]["action"]["id"].as_str().unwrap().to_owned();
        let elsewhere = bartizan_testkit::Home::of(world.user());
        let key = fs::read_to_string(world.home.bartizan_home().join("keys/ledger.pub.pem")).unwrap();
        elsewhere.write("key.pem", key);
        for (action, effect) in [(&allowed, "allow"), (&denied, "deny")] {
            let receipt = world.bartizan(["receipt", "show", action]).success().stdout;
            elsewhere.write("receipt.json", &receipt);
            let verified = elsewhere.bartizan(["receipt", "verify", "receipt.json", "--key", "key.pem"]).success();
            assert!(verified.stdout.contains(action.as_str()) && verified.stdout.contains(effect), "{verified}");
            let statement = elsewhere
                .bartizan(["receipt", "verify", "-", "--key", "key.pem", "--json"])
                .stdin(receipt.clone())
                .success();
            assert_eq!(statement.json()["predicate"]["action"]["id"], action.as_str());

            // Anything changed is no receipt any more.
            let mut envelope: Value = serde_json::from_str(&receipt).unwrap();
            let payload = envelope["payload"].as_str().unwrap().to_owned();
            envelope["payload"] = format!("{}{}", &payload[..payload.len() - 8], "AAAAAAA=").into();
            elsewhere.write("forged.json", envelope.to_string());
            let forged = elsewhere.bartizan(["receipt", "verify", "forged.json", "--key", "key.pem"]).output();
            assert!(!forged.status.success() && !forged.stdout.contains("verified"), "{forged}");
        }
        // Another home's key, and files that are none.
        let other = World::new(world.user());
        let key = other.home.bartizan_home().join("keys/ledger.pub.pem");
        let wrong = elsewhere.bartizan(["receipt", "verify", "receipt.json", "--key"]).arg(&key).output();
        assert!(!wrong.status.success(), "{wrong}");
        elsewhere.write("nonsense", vec![0xff; 100]);
        for (file, key) in
            [("nonsense", "key.pem"), ("receipt.json", "nonsense"), ("missing", "key.pem"), ("/dev/zero", "key.pem")]
        {
            let refused = elsewhere.bartizan(["receipt", "verify", file, "--key", key]).output();
            assert!(!refused.status.success() && refused.stderr.starts_with("bartizan:"), "{refused}");
        }
        let unknown = world.bartizan(["receipt", "show", "act_01M7WBF7KB2CTNQZVZ5DY38TY8"]).output();
        assert!(!unknown.status.success(), "{unknown}");
    });
}

/// A library that isn't ours checks the signature over the bytes that isn't ours either.
#[test]
fn a_third_partys_library_verifies_a_receipt() {
    const SCRIPT: &str = r#"
import base64, json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
data = json.load(open("receipt.json"))
key = SSlibKey.from_crypto(load_pem_public_key(open("key.pem", "rb").read()), keyid=data["signatures"][0]["keyid"])
envelope = Envelope.from_dict(data)
accepted = envelope.verify([key], 1)
statement = json.loads(envelope.payload)
assert envelope.payload_type == "application/vnd.in-toto+json", envelope.payload_type
assert statement["_type"] == "https://in-toto.io/Statement/v1", statement["_type"]
print("accepted", len(accepted), statement["predicate"]["action"]["id"])
"#;
    let world = World::new(User::Current);
    filled(&world);
    let action = world.deed("exec.run", "uname")["record"]["action"]["id"].as_str().unwrap().to_owned();
    world.home.write("receipt.json", world.bartizan(["receipt", "show", &action]).success().stdout);
    fs::copy(world.home.bartizan_home().join("keys/ledger.pub.pem"), world.home.workspace().join("key.pem")).unwrap();
    let packages = tools::python_packages(&world.home.workspace(), world.user());
    let checked = Run::new(tools::python(), User::Current)
        .args(["-c", SCRIPT])
        .current_dir(&world.home.workspace())
        .env("PYTHONPATH", packages)
        .success();
    assert_eq!(checked.stdout.trim(), format!("accepted 1 {action}"));
}
