//! A Bartizan home: made once, closed to others, and refused with one clear error when something is wrong with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use bartizan_testkit::user::is_root;
use bartizan_testkit::{Home, Output, User, eventually};

use crate::world::World;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// One error, with the lines it is about at most, that names what it is about and says what to do.
fn assert_clear(output: &Output, code: i32, about: &str, next: &str) {
    assert_eq!(output.code(), code, "{output}");
    assert!(output.stderr.starts_with("bartizan:"), "{output}");
    assert!(output.stderr.contains(about) && output.stderr.contains(next), "wants `{about}` and `{next}`: {output}");
    assert!(output.stderr.lines().count() <= 8 && !output.stderr.contains("panicked"), "{output}");
}

#[test]
fn without_a_home_everything_says_init() {
    for user in User::all() {
        let home = Home::of(user);
        for arguments in [
            &["run", "--", "true"][..],
            &["log", "list"],
            &["log", "verify"],
            &["box", "list"],
            &["approval", "list"],
            &["check"],
            &["policy", "show"],
            &["receipt", "show", "act_01M7WBF7KB2CTNQZVZ5DY38TY8"],
        ] {
            let output = home.bartizan(arguments.iter().copied()).output();
            let code = if arguments[0] == "run" { 125 } else { 1 };
            assert_clear(&output, code, "there is no Bartizan home", "`bartizan init`");
        }
        let doctor = home.bartizan(["doctor"]).output();
        assert!(!doctor.status.success() && doctor.stdout.contains("bartizan init"), "{doctor}");
        assert!(!home.bartizan_home().exists(), "looking makes nothing");
        let asked = home.bartizan(["init"]).output();
        assert_clear(&asked, 1, "no terminal", "init --yes");
        let unknown = home.bartizan(["init", "--base", "nonsense"]).output();
        assert_clear(&unknown, 1, "`nonsense`", "coding_assistant");
        assert!(!home.bartizan_home().exists());
    }
}

#[test]
fn init_makes_a_private_home_and_never_overwrites() {
    for user in User::all() {
        let home = Home::of(user);
        let done = home.bartizan(["init", "--yes", "--json"]).success().json();
        assert!(done.as_array().unwrap().iter().all(|item| item["made"] == true), "{done:#}");
        let place = home.bartizan_home();
        for directory in ["", "policies", "keys", "ledger", "run", "approvals", "personas"] {
            assert_eq!(mode(&place.join(directory)), 0o700, "{directory}");
        }
        assert_eq!(mode(&place.join("keys/ledger.pem")), 0o600);
        let key = fs::read(place.join("keys/ledger.pem")).unwrap();
        let own = "bartizan: 1\nname: mine\nextends: strict\n";
        fs::write(place.join("policies/default.yaml"), own).unwrap();
        fs::write(place.join("config.yaml"), "bartizan: 1\npolicy: policies/default.yaml\n# mine\n").unwrap();

        let again = home.bartizan(["init", "--yes", "--base", "permissive", "--json"]).success().json();
        assert!(again.as_array().unwrap().iter().all(|item| item["made"] == false), "{again:#}");
        assert_eq!(fs::read(place.join("keys/ledger.pem")).unwrap(), key);
        assert_eq!(fs::read_to_string(place.join("policies/default.yaml")).unwrap(), own);
        assert!(fs::read_to_string(place.join("config.yaml")).unwrap().contains("# mine"));
        let shown = home.bartizan(["policy", "show"]).success();
        assert!(shown.stdout.contains("mine") || shown.stderr.contains("mine"), "{shown}");
    }
}

#[test]
fn many_inits_at_once_make_one_key() {
    for user in User::all() {
        for _ in 0..3 {
            let home = Home::of(user);
            let all: Vec<_> = (0..8).map(|_| home.bartizan(["init", "--yes", "--json"]).spawn()).collect();
            let outputs: Vec<Output> = all.into_iter().map(bartizan_testkit::Running::wait).collect();
            assert!(outputs.iter().all(|output| output.status.success()), "{outputs:#?}");
            let makers = outputs
                .iter()
                .filter(|output| {
                    let done = output.json();
                    done.as_array().unwrap().iter().any(|item| {
                        item["made"] == true && item["path"].as_str().is_some_and(|path| path.ends_with("ledger.pem"))
                    })
                })
                .count();
            assert_eq!(makers, 1, "{outputs:#?}");
            let keys = crate::processes::names(&home.bartizan_home().join("keys"));
            assert_eq!(keys.len(), 2, "drafts are left: {keys:?}");
            home.bartizan(["log", "verify"]).success();
        }
    }
}

#[test]
fn a_home_that_others_can_enter_is_refused() {
    World::each(|world| {
        world.run(["true"]).success();
        let place = world.home.bartizan_home();
        for (path, open) in [
            (place.clone(), 0o755),
            (place.join("keys"), 0o755),
            (place.join("ledger"), 0o770),
            (place.join("run"), 0o777),
            (place.join("keys/ledger.pem"), 0o644),
        ] {
            let right = mode(&path);
            set_mode(&path, open);
            let name = path.file_name().unwrap().to_str().unwrap();
            let refused = world.run(["true"]).output();
            assert_clear(&refused, 125, name, "chmod");
            let doctor = world.bartizan(["doctor"]).output();
            assert!(!doctor.status.success() && doctor.stdout.contains("FAIL"), "{doctor}");
            set_mode(&path, right);
            world.run(["true"]).success();
        }
        world.verify();
    });
}

#[test]
fn a_home_of_somebody_else_is_refused() {
    if !is_root() {
        return bartizan_testkit::skipped("a_home_of_somebody_else_is_refused", "needs root");
    }
    World::each(|world| {
        world.run(["true"]).success();
        let place = world.home.bartizan_home();
        let (ours, other) = match world.user() {
            User::Current => (0, 65534),
            User::Ordinary => (65534, 1),
        };
        for path in [place.clone(), place.join("ledger"), place.join("keys"), place.join("keys/ledger.pem")] {
            chown(&path, Some(other), None).unwrap();
            let refused = world.run(["true"]).output();
            assert_eq!(refused.code(), 125, "{refused}");
            assert!(refused.stderr.starts_with("bartizan:") && refused.stderr.lines().count() <= 3, "{refused}");
            chown(&path, Some(ours), None).unwrap();
        }
        world.run(["true"]).success();
    });
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    World::each(|world| {
        let place = world.home.bartizan_home();
        let check = |about: &str, next: &str| assert_clear(&world.run(["true"]).output(), 125, about, next);
        let moved = |name: &str| {
            fs::rename(place.join(name), place.join("moved")).unwrap();
            let back = place.join(name);
            let from = place.join("moved");
            move || fs::rename(from, back).unwrap()
        };
        let back = moved("config.yaml");
        check("config.yaml", "bartizan init");
        back();
        let back = moved("keys/ledger.pem");
        check("ledger.pem", "");
        back();
        let back = moved("run");
        check("run", "bartizan init");
        back();
        let good = fs::read(place.join("keys/ledger.pem")).unwrap();
        fs::write(place.join("keys/ledger.pem"), "no key\n").unwrap();
        check("ledger.pem", "");
        fs::write(place.join("keys/ledger.pem"), good).unwrap();
        let good = fs::read(place.join("config.yaml")).unwrap();
        fs::write(place.join("config.yaml"), "bartizan: 1\npolcy: x\n").unwrap();
        check("config.yaml", "policy");
        fs::write(place.join("config.yaml"), good).unwrap();
        world.run(["true"]).success();

        let policy = world.home.user_home().join("policy.yaml");
        for (text, about) in [
            (&b"bartizan: 1\nname: a\nname: b\n"[..], "policy.yaml:3"),
            (b"bartizan: 1\nexec: { alow: [git] }\n", "`allow`"),
            (b"bartizan: 2\n", "bartizan"),
            (b"bartizan: 1\nname: \xff\xfe\n", "policy.yaml"),
            (b"bartizan: 1\nfiles: [\n", "policy.yaml"),
            (b"", "policy.yaml"),
            (b"bartizan: 1\nextends: no_such_thing\n", "no_such_thing"),
            (b"bartizan: 1\nextends: ./policy.yaml\n", "policy.yaml"),
        ] {
            fs::write(&policy, text).unwrap();
            let refused = world.run(["true"]).output().expect_code(125);
            let shown = String::from_utf8_lossy(text);
            assert!(refused.stderr.contains(about), "{shown:?} wants `{about}`: {refused}");
            assert!(!refused.stderr.contains("panicked"), "{refused}");
        }
        fs::write(&policy, format!("bartizan: 1\nname: \"{}\"\n", "x".repeat(8 << 20))).unwrap();
        let refused = world.run(["true"]).output().expect_code(125);
        assert!(refused.stderr.contains("policy.yaml") && refused.stderr.len() < 2000, "{}", refused.stderr.len());
        let refused = world.bartizan(["run", "--policy", "/no/such.yaml", "--", "true"]).output();
        assert_clear(&refused, 125, "/no/such.yaml", "write one or name another");
        assert!(world.rows().iter().filter(|row| row["record"]["type"] == "opened").count() == 1);
    });
}

#[test]
fn doctor_is_content_with_a_good_home() {
    World::each(|world| {
        let doctor = world.bartizan(["doctor", "--json"]).output();
        let report = doctor.json();
        let failing: Vec<_> = report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["ok"] != true && check["required"] == true)
            .collect();
        assert_eq!(report["healthy"], failing.is_empty(), "{doctor}");
        assert_eq!(doctor.status.success(), failing.is_empty(), "{doctor}");
        assert!(failing.is_empty(), "{failing:#?}");
        let table = world.bartizan(["doctor"]).success();
        assert!(table.stdout.contains("ledger") && !table.stdout.contains("FAIL"), "{table}");

        set_mode(&world.home.bartizan_home().join("keys/ledger.pem"), 0o640);
        let doctor = world.bartizan(["doctor", "--json"]).output();
        assert!(!doctor.status.success(), "{doctor}");
        let report = doctor.json();
        let keys = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "keys").unwrap();
        assert!(keys["ok"] == false && keys["remedy"].is_string(), "{report:#}");
    });
}

/// A script as this world's user, in a mount namespace of its own where `setup` has been done by root.
fn in_own_mounts(world: &World, setup: &str, script: &str) -> Output {
    let id = world.user().id();
    let drop = format!("setpriv --reuid {id} --regid {id} --clear-groups");
    bartizan_testkit::Run::new("unshare", User::Current)
        .args(["--mount", "--propagation", "private", "sh", "-eu", "-c"])
        .arg(format!("{setup}\nexec {drop} sh -u -c \"$SCRIPT\""))
        .clear_env()
        .current_dir(&world.home.workspace())
        .env("SCRIPT", script)
        .env("ID", id.to_string())
        .env("B", world.home.binary())
        .env("HOME", world.home.user_home())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("H", world.home.bartizan_home())
        .output()
}

#[test]
fn a_home_that_cannot_be_written_denies_everything() {
    if !is_root() {
        return bartizan_testkit::skipped("a_home_that_cannot_be_written_denies_everything", "needs root");
    }
    World::each(|world| {
        world.run(["true"]).success();
        let ended = in_own_mounts(
            &world,
            "mount --bind \"$H\" \"$H\"; mount -o remount,bind,ro \"$H\"",
            "\"$B\" run --policy ../policy.yaml -- sh -c 'echo ran >ran'; echo run $?; \"$B\" log verify; echo verify $?; \"$B\" doctor; echo doctor $?",
        );
        assert!(ended.stdout.contains("run 125") && ended.stdout.contains("verify 0"), "{ended}");
        assert!(ended.stdout.contains("doctor 1"), "{ended}");
        assert!(ended.stderr.contains("bartizan:") && !ended.stderr.contains("panicked"), "{ended}");
        assert!(!world.home.workspace().join("ran").exists());
        world.run(["true"]).success();
        world.verify();
    });
}

#[test]
fn a_full_home_denies_and_keeps_the_ledger_whole() {
    if !is_root() {
        return bartizan_testkit::skipped("a_full_home_denies_and_keeps_the_ledger_whole", "needs root");
    }
    World::each(|world| {
        world.policy("");
        let ended = in_own_mounts(
            &world,
            "mount -t tmpfs -o size=1m,mode=700,uid=$ID,gid=$ID tmpfs \"$H\"",
            r#"
            "$B" init --yes >/dev/null || exit 1
            "$B" run --policy ../policy.yaml -- true; echo "before $?"
            # Full while a box runs: what it tries next can't be recorded, so it isn't done.
            "$B" run --policy ../policy.yaml -- sh -c '
                while [ ! -e full ]; do sleep 0.05; done
                for i in $(seq 100); do /bin/true 2>/dev/null; done
                uname >made; cat made; echo "inside $?"' &
            while ! "$B" box list --json | grep -q policy; do sleep 0.05; done
            cat /dev/zero >"$H/filler" 2>/dev/null
            touch full
            wait $!; echo "during $?"
            "$B" run --policy ../policy.yaml -- sh -c 'echo ran >ran'; echo "full $?"
            for i in $(seq 100); do
                echo '{"kind":"net.connect","host":"example.com","port":443}'
            done | "$B" check | tail -n 1; echo checked
            rm "$H/filler"
            "$B" log verify; echo "verify $?"
            "$B" run --policy ../policy.yaml -- true; echo "after $?"
            "$B" log verify; echo "again $?"
            "#,
        );
        for line in ["before 0", "full 125", "verify 0", "after 0", "again 0"] {
            assert!(ended.stdout.lines().any(|found| found == line), "wants `{line}`: {ended}");
        }
        assert!(!ended.stdout.contains("Linux"), "something was done that could not be recorded: {ended}");
        let last = ended.stdout.lines().take_while(|line| *line != "checked").last().unwrap();
        assert!(last.contains("\"error\"") && !last.contains("\"effect\""), "{ended}");
        assert!(!ended.stderr.contains("panicked"), "{ended}");
        assert!(!world.home.workspace().join("ran").exists());
        eventually("nothing is left", || world.processes(&[]).is_empty());
    });
}
