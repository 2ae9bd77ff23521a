//! Bundles, overlays and exceptions through the command.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bartizan_crypto::SigningKey;
use bartizan_testkit::http::Response;
use bartizan_testkit::{Authority, HttpServer, Output};
use serde_json::json;

use crate::world::World;

fn bundle(world: &World, arguments: &[&str]) -> Output {
    world.bartizan(["policy", "bundle"]).args(arguments.iter().copied()).current_dir(&world.home.user_home()).output()
}

/// Writes a bundle's directory, builds and signs it, and gives its file.
fn build(world: &World, version: &str, policy: &str, key: Option<&Path>) -> PathBuf {
    let directory = world.home.user_home().join("acme");
    let manifest = format!("bundle: 1\nname: acme\nversion: {version}\npolicy: policy.yaml\noverlays: [gdpr]\n");
    world.home.write_home("acme/bundle.yaml", manifest);
    world.home.write_home("acme/policy.yaml", format!("bartizan: 1\nextends: standard\nrego: [main.rego]\n{policy}\n"));
    world
        .home
        .write_home("acme/main.rego", "package bartizan\ndeny contains \"no dd\" if input.deed.args[0] == \"dd\"\n");
    let file = world.home.user_home().join(format!("acme-{version}.json"));
    let _ = fs::remove_file(&file);
    let (directory, name) = (directory.display().to_string(), file.display().to_string());
    done(bundle(world, &["build", &directory, "--output", &name]));
    match key {
        Some(key) => done(bundle(world, &["sign", &name, "--key", &key.display().to_string()])),
        None => done(bundle(world, &["sign", &name])),
    }
    file
}

fn done(output: Output) {
    assert!(output.status.success(), "{output}");
}

fn refused(output: Output, why: &str) {
    assert!(!output.status.success() && output.stderr.contains(why), "`{why}`: {output}");
}

fn effect(world: &World, action: serde_json::Value) -> (String, serde_json::Value) {
    let line = format!("{action}\n");
    let output = world.bartizan(["check", "--policy", "bundle:acme"]).stdin(line).output().expect_code(0);
    let answer = output.json_lines().remove(0);
    (answer["effect"].as_str().unwrap().to_owned(), answer)
}

#[test]
fn a_bundle_is_installed_used_and_rolled_back() {
    World::each(|world| {
        let connect = json!({ "kind": "net.connect", "host": "good.test", "port": 443 });
        let first = build(&world, "1.0.0", "net: { default: deny, allow: [good.test] }", None);
        let second = build(&world, "1.1.0", "net: { default: deny }", None);
        done(bundle(&world, &["install", first.to_str().unwrap()]));
        let (allowed, answer) = effect(&world, connect.clone());
        assert_eq!(allowed, "allow", "{answer:#}");
        assert_eq!((&answer["bundle"]["name"], &answer["bundle"]["version"]), (&json!("acme"), &json!("1.0.0")));
        let (denied, answer) =
            effect(&world, json!({ "kind": "exec.run", "program": "/bin/dd", "args": ["dd", "if=x"] }));
        assert_eq!((denied.as_str(), &answer["rule"]["rule"]), ("deny", &json!("rego.deny")), "{answer:#}");
        done(bundle(&world, &["install", second.to_str().unwrap()]));
        assert_eq!(effect(&world, connect.clone()).0, "deny");
        refused(bundle(&world, &["install", first.to_str().unwrap()]), "is older than 1.1.0");
        let other = build(&world, "1.1.0", "net: { default: allow }", None);
        refused(bundle(&world, &["install", other.to_str().unwrap()]), "with other contents");
        assert_eq!(effect(&world, connect.clone()).0, "deny", "the old state is kept");
        done(bundle(&world, &["rollback", "acme"]));
        assert_eq!(effect(&world, connect).0, "allow");
        refused(bundle(&world, &["rollback", "acme"]), "there is no version");
        let bundled = world.rows().iter().any(|row| row["record"]["verdict"]["bundle"]["version"] == "1.1.0");
        assert!(bundled, "the ledger says which bundle decided");
        world.verify();
    });
}

#[test]
fn only_trusted_signatures_count() {
    World::each(|world| {
        let key = SigningKey::generate().unwrap();
        let private = world.home.write_home("other.pem", key.to_pem().unwrap().as_bytes());
        let public = world.home.write_home("other.pub.pem", key.public().to_pem().unwrap());
        fs::set_permissions(&private, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let file = build(&world, "1.0.0", "", Some(&private));
        let (name, id) = (file.to_str().unwrap(), key.public().key_id());
        refused(bundle(&world, &["install", name]), "no signature of a trusted key");
        done(bundle(&world, &["trust", public.to_str().unwrap()]));
        done(bundle(&world, &["verify", name]));
        done(bundle(&world, &["install", name]));
        // Another byte anywhere is another bundle.
        let changed = fs::read_to_string(&file).unwrap().replacen("\"payload\":\"ey", "\"payload\":\"eY", 1);
        let changed = world.home.write_home("changed.json", changed);
        refused(bundle(&world, &["verify", changed.to_str().unwrap()]), "trusted");
        done(bundle(&world, &["revoke", &id]));
        refused(bundle(&world, &["verify", name]), "revoked key");
        let output = world.bartizan(["policy", "explain", "--policy", "bundle:acme"]).output();
        refused(output, "revoked key");
        refused(bundle(&world, &["trust", public.to_str().unwrap()]), "was revoked");
        world.verify();
    });
}

#[test]
fn bundles_are_passed_on_through_a_directory() {
    World::each(|world| {
        let store = world.home.user_home().join("store");
        world.home.write_home("store/.keep", "");
        let store = store.to_str().unwrap();
        for (version, policy) in [("1.9.0", ""), ("1.10.0", "net: { default: deny }")] {
            let file = build(&world, version, policy, None);
            done(bundle(&world, &["push", file.to_str().unwrap(), store]));
            done(bundle(&world, &["push", file.to_str().unwrap(), store]));
        }
        let other = build(&world, "1.10.0", "net: { default: allow }", None);
        refused(bundle(&world, &["push", other.to_str().unwrap(), store]), "with other contents");
        let pulled = bundle(&world, &["pull", store, "acme"]).expect_code(0);
        assert!(pulled.stdout.contains("acme-1.10.0.bundle.json"), "{pulled}");
        done(bundle(&world, &["pull", store, "acme@1.9"]));
        refused(bundle(&world, &["pull", store, "acme@7"]), "no such version");
        refused(bundle(&world, &["pull", store, "../x"]), "no name of a bundle");
    });
}

#[test]
fn an_exception_holds_for_one_and_is_listed() {
    World::each(|world| {
        let policy = world.policy("net: { default: allow, deny: [bad.test] }");
        let policy = policy.to_str().unwrap();
        let exception =
            |arguments: &[&str]| world.bartizan(["policy", "exception"]).args(arguments.iter().copied()).output();
        let add = |rule: &str, until: &str| {
            exception(&[
                "add",
                "--rule",
                rule,
                "--for",
                "bot",
                "--until",
                until,
                "--reason",
                "migration",
                "--policy",
                policy,
            ])
        };
        refused(add("net.default", "1h"), "can't be lifted");
        refused(add("net.deny[0]", "2020-01-01"), "has passed already");
        let check = |agent: &str| {
            let line = "{\"kind\":\"net.connect\",\"host\":\"bad.test\",\"port\":443}\n";
            let output = world.bartizan(["check", "--policy", policy, "--agent", agent]).stdin(line).output();
            output.expect_code(0).json_lines().remove(0)
        };
        assert_eq!(check("bot")["effect"], "deny");
        let rule = check("bot")["rule"]["rule"].as_str().unwrap().to_owned();
        done(add(&rule, "1h"));
        assert_eq!(check("bot")["effect"], "allow", "{:#}", check("bot"));
        assert_eq!(check("other")["effect"], "deny");
        let explained = world.bartizan(["policy", "explain", "--policy", policy, "connect", "bad.test:443"]).success();
        assert!(explained.stdout.contains("is lifted for `bot`"), "{explained}");
        let listed = exception(&["list", "--json"]).expect_code(0).json();
        let id = listed[0]["id"].as_str().unwrap().to_owned();
        // Forged ones lift nothing.
        let file = world.home.bartizan_home().join(format!("exceptions/{id}.json"));
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replacen("\"payload\":\"ey", "\"payload\":\"eY", 1)).unwrap();
        assert_eq!(check("bot")["effect"], "deny");
        fs::write(&file, text).unwrap();
        assert_eq!(check("bot")["effect"], "allow");
        // It can be taken back whatever the configured policy has become, and never off the record.
        let config = world.home.bartizan_home().join("config.yaml");
        let whole = fs::read_to_string(&config).unwrap();
        fs::write(&config, "bartizan: 1\npolicy: policies/gone.yaml\n").unwrap();
        refused(world.bartizan(["policy", "show"]).output(), "gone.yaml");
        done(exception(&["remove", &id]));
        fs::write(&config, whole).unwrap();
        assert_eq!(check("bot")["effect"], "deny");
        let topics: Vec<String> =
            world.rows().iter().filter_map(|row| Some(row["record"]["topic"].as_str()?.to_owned())).collect();
        assert!(topics.contains(&"exception.add".to_owned()) && topics.contains(&"exception.remove".to_owned()));
        world.verify();
    });
}

#[test]
fn overlays_narrow_what_is_chosen() {
    World::each(|world| {
        let policy = world.policy("net: { default: allow }\ncontent: { personal: allow }");
        let line = "{\"kind\":\"net.connect\",\"host\":\"s3.us-east-1.amazonaws.com\",\"port\":443}\n";
        let check = |options: &[&str]| {
            let output = world.bartizan(["check", "--policy"]).arg(&policy).args(options.iter().copied()).stdin(line);
            output.output().expect_code(0).json_lines().remove(0)["effect"].clone()
        };
        assert_eq!(check(&[]), "allow");
        assert_eq!(check(&["--overlay", "eu"]), "deny");
        assert_eq!(check(&["--overlay", "us"]), "allow");
        let unknown = world.bartizan(["check", "--overlay", "moon"]).output();
        refused(unknown, "there is no overlay `moon`");
    });
}

/// A Git repository made without Git's configuration of this machine.
fn git(world: &World, directory: &Path, arguments: &[&str]) -> Output {
    let output = world
        .home
        .run("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"])
        .args(arguments.iter().copied())
        .current_dir(directory)
        .output();
    assert!(output.status.success(), "{output}");
    output
}

#[test]
fn bundles_come_from_a_commit_and_travel_through_git() {
    World::each(|world| {
        build(&world, "1.0.0", "", None);
        let directory = world.home.user_home().join("acme");
        git(&world, &directory, &["init", "--quiet"]);
        git(&world, &directory, &["add", "."]);
        git(&world, &directory, &["commit", "--quiet", "-m", "one"]);
        let commit = git(&world, &directory, &["rev-parse", "HEAD"]).stdout.trim().to_owned();
        // What lies in the working tree is not what is committed.
        world.home.write_home("acme/policy.yaml", "bartizan: 1\nspoilt: true\n");
        let (repository, file) = (directory.display().to_string(), world.home.user_home().join("from-git.json"));
        let name = file.to_str().unwrap();
        refused(bundle(&world, &["build", &repository, "--output", name]), "unknown key `spoilt`");
        refused(
            bundle(&world, &["build", &repository, "--commit", "nowhere", "--output", name]),
            "no commit `nowhere`",
        );
        done(bundle(&world, &["build", &repository, "--commit", "main", "--output", name]));
        done(bundle(&world, &["sign", name]));
        let verified = bundle(&world, &["verify", name, "--json"]).expect_code(0).json();
        assert_eq!(verified["commit"], json!(commit));
        let bare = world.home.user_home().join("store.git");
        git(&world, &world.home.user_home(), &["init", "--quiet", "--bare", bare.to_str().unwrap()]);
        let bare = bare.to_str().unwrap();
        done(bundle(&world, &["push", name, bare]));
        done(bundle(&world, &["push", name, bare]));
        let other = build(&world, "1.0.0", "net: { default: allow }", None);
        refused(bundle(&world, &["push", other.to_str().unwrap(), bare]), "with other contents");
        let next = build(&world, "1.1.0", "", None);
        done(bundle(&world, &["push", next.to_str().unwrap(), bare]));
        let log = git(&world, Path::new(bare), &["log", "--format=%s", "bartizan-bundles"]);
        assert_eq!(log.stdout, "acme 1.1.0\nacme 1.0.0\n");
        git(&world, Path::new(bare), &["fsck", "--strict"]);
        let pulled = bundle(&world, &["pull", bare, "acme"]).expect_code(0);
        assert!(pulled.stdout.contains("acme-1.1.0.bundle.json"), "{pulled}");
        done(bundle(&world, &["pull", bare, "acme@1.0.0", "--output", "again.json"]));
        refused(bundle(&world, &["pull", bare, "other"]), "no such version");
    });
}

fn bundle_trusting(world: &World, roots: &Path, arguments: &[&str]) -> Output {
    let command = world.bartizan(["policy", "bundle"]).args(arguments.iter().copied());
    command.env("SSL_CERT_FILE", roots).current_dir(&world.home.user_home()).output()
}

/// What `push` wrote into a directory is served as it is, and nothing is kept that doesn't count.
#[test]
fn bundles_are_pulled_from_web_servers() {
    World::each(|world| {
        let authority = Authority::new();
        let roots = authority.write_to(&world.home.workspace());
        let (secure, plain) = (HttpServer::tls(&authority, &["localhost"]), HttpServer::plain());
        let store = world.home.user_home().join("store");
        world.home.write_home("store/README", "bundles");
        let first = build(&world, "1.0.0", "net: { default: deny }", None);
        let second = build(&world, "1.10.0", "net: { default: ask }", None);
        for file in [&first, &second] {
            done(bundle(&world, &["push", file.to_str().unwrap(), store.to_str().unwrap()]));
        }
        for server in [&secure, &plain] {
            let store = store.clone();
            server.route("/bundles/", move |request| {
                match fs::read(store.join(&request.target["/bundles/".len()..])) {
                    Ok(bytes) => Response::ok(bytes),
                    Err(_) => Response::new(404, "nothing here"),
                }
            });
            let url = server.url("localhost", "/bundles");
            let pull = |arguments: &[&str]| bundle_trusting(&world, &roots, &[&["pull", &url], arguments].concat());
            done(pull(&["acme", "--output", "newest.json"]));
            done(pull(&["acme@1.0.0", "--output", "first.json"]));
            for (pulled, built) in [("newest.json", &second), ("first.json", &first)] {
                let pulled = world.home.user_home().join(pulled);
                assert_eq!(fs::read(&pulled).unwrap(), fs::read(built).unwrap());
                fs::remove_file(pulled).unwrap();
            }
            refused(pull(&["other"]), "has no index of `other`");
            refused(pull(&["acme@7"]), "there is no version 7.0.0");
            refused(pull(&["../acme"]), "is no name of a bundle");
        }
        let rows = world.deeds("http.request");
        assert!(rows.iter().any(|row| row["closed"]["record"]["outcome"]["figures"]["status"] == 404), "{rows:#?}");
        let by = &rows[0]["record"]["action"]["principal"];
        assert_eq!(by["kind"], "human", "{by:#}");
        // Nobody vouches for this server.
        let url = secure.url("localhost", "/bundles");
        refused(bundle(&world, &["pull", &url, "acme"]), "didn't answer");
        refused(bundle(&world, &["pull", "https://me:secret@localhost/", "acme"]), "leave them away");
        world.verify();
    });
}

#[test]
fn what_a_web_server_makes_up_is_not_kept() {
    World::each(|world| {
        let server = HttpServer::plain();
        let key = SigningKey::generate().unwrap();
        let stranger = world.home.write_home("stranger.pem", key.to_pem().unwrap().as_bytes());
        fs::set_permissions(&stranger, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let good = build(&world, "1.0.0", "net: { default: deny }", None);
        let signed_by_stranger = build(&world, "2.0.0", "net: { default: allow }", Some(&stranger));
        server
            .file("/acme/index.json", r#"{"versions":["1.0.0","3.0.0"]}"#)
            .file("/acme/2.0.0.json", fs::read(signed_by_stranger).unwrap())
            .file("/acme/3.0.0.json", fs::read(good).unwrap())
            .file("/acme/4.0.0.json", vec![b' '; bartizan_crypto::dsse::ENVELOPE_BYTES_MAX + 1])
            .file("/acme/5.0.0.json", "no bundle")
            .file("/odd/index.json", "[]")
            .route("/acme/6.0.0.json", |_| Response::redirect("/acme/1.0.0.json"));
        let url = server.url("127.0.0.1", "/");
        let pull = |named: &str| bundle(&world, &["pull", &url, named, "--output", "kept.json"]);
        refused(pull("acme"), "mixed them up");
        refused(pull("acme@2.0.0"), "no signature of a trusted key");
        refused(pull("acme@4.0.0"), "is larger than");
        refused(pull("acme@5.0.0"), "is no bundle");
        refused(pull("acme@6.0.0"), "status 302");
        refused(pull("odd"), "index is none");
        assert!(!world.home.user_home().join("kept.json").exists());
        drop(server);
        refused(pull("acme"), "didn't answer");
        world.verify();
    });
}

#[test]
fn bundles_are_put_on_web_servers_that_take_them() {
    World::each(|world| {
        let server = HttpServer::plain();
        let kept: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let files = kept.clone();
        server.route("/b/", move |request| {
            let mut files = files.lock().unwrap();
            let only_new = request.header("if-none-match") == Some("*");
            match (request.method.as_str(), files.get(&request.target)) {
                ("GET", Some(bytes)) => Response::ok(bytes.clone()),
                ("PUT", Some(_)) if only_new => Response::new(412, ""),
                ("PUT", _) => {
                    files.insert(request.target.clone(), request.body.clone());
                    Response::new(201, "")
                }
                _ => Response::new(404, ""),
            }
        });
        server.route("/readonly/", |request| Response::new(if request.method == "PUT" { 405 } else { 404 }, ""));
        let first = build(&world, "1.0.0", "net: { default: deny }", None);
        let second = build(&world, "1.2.0", "net: { default: ask }", None);
        let url = server.url("127.0.0.1", "/b");
        let push = |file: &Path, url: &str| bundle(&world, &["push", file.to_str().unwrap(), url]);
        for file in [&second, &first, &second] {
            done(push(file, &url));
        }
        let index = kept.lock().unwrap()["/b/acme/index.json"].clone();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&index).unwrap(),
            json!({ "versions": ["1.0.0", "1.2.0"] })
        );
        let other = build(&world, "1.2.0", "net: { default: allow }", None);
        refused(push(&other, &url), "with other contents");
        refused(push(&first, &server.url("127.0.0.1", "/readonly")), "doesn't take");
        done(bundle(&world, &["pull", &url, "acme", "--output", "pulled.json"]));
        assert_eq!(
            fs::read(world.home.user_home().join("pulled.json")).unwrap().len(),
            kept.lock().unwrap()["/b/acme/1.2.0.json"].len()
        );
        world.verify();
    });
}
