//! The KV engine of HashiCorp Vault and OpenBao: the suite, logins, leases, and everything that goes wrong on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bartizan_gate::store::{Expect, SecretStore, SecretValue, StoreError};
use bartizan_testkit::kv2::{Kv2Server, MOUNT, ROLE_ID, SECRET_ID};
use bartizan_testkit::store::writes;
use bartizan_testkit::{Authority, HttpServer, TcpSink};
use bartizan_vault::{Kv2Login, Kv2Settings, Kv2Store};
use serde_json::json;

const LONG: Duration = Duration::from_secs(3600);

struct World {
    server: Kv2Server,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::over(HttpServer::plain(), LONG)
    }

    fn over(http: HttpServer, ttl: Duration) -> Self {
        Self { server: Kv2Server::over(http, ttl), directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn settings(&self, login: Kv2Login) -> Kv2Settings {
        Kv2Settings {
            address: format!("http://{}", self.server.http.address()),
            mount: MOUNT.into(),
            path: "agents/ci".into(),
            namespace: None,
            login,
            roots: None,
            timeout: Duration::from_secs(5),
        }
    }

    fn with_token(&self, ttl: Option<Duration>) -> Kv2Login {
        Kv2Login::Token { file: self.file("token", &self.server.token(ttl)) }
    }

    fn with_role(&self, secret_id: &str) -> Kv2Login {
        let secret_id_file = self.file("secret-id", secret_id);
        Kv2Login::AppRole { mount: "approle".into(), role_id: ROLE_ID.into(), secret_id_file }
    }

    fn store(&self, login: Kv2Login) -> Kv2Store {
        Kv2Store::new(self.settings(login)).unwrap()
    }
}

async fn read(store: &Kv2Store, name: &str) -> Result<String, String> {
    let lease = store.read(name, None).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(lease.value.expose()).into_owned())
}

#[tokio::test]
async fn passes_the_suite_with_a_token_and_with_a_role() {
    for role in [false, true] {
        let world = World::new();
        let login = if role { world.with_role(SECRET_ID) } else { world.with_token(None) };
        let settings = world.settings(login);
        writes(|| Box::new(Kv2Store::new(settings.clone()).unwrap())).await;
    }
}

#[tokio::test]
async fn speaks_tls_to_who_the_roots_vouch_for_and_nobody_else() {
    let authority = Authority::new();
    let world = World::over(HttpServer::tls(&authority, &["localhost"]), LONG);
    world.server.put("agents/ci/KEY", json!({ "value": "over tls" }));
    let settings = |roots: &Path| Kv2Settings {
        address: format!("https://localhost:{}", world.server.http.port()),
        roots: Some(roots.to_owned()),
        ..world.settings(world.with_token(None))
    };
    let store = Kv2Store::new(settings(&authority.path())).unwrap();
    assert_eq!(read(&store, "KEY").await.unwrap(), "over tls");
    let other = Kv2Store::new(settings(&Authority::new().path())).unwrap();
    let refused = read(&other, "KEY").await.unwrap_err();
    assert!(refused.contains("can't be reached"), "{refused}");
}

#[test]
fn settings_that_would_harm_are_refused() {
    let world = World::new();
    let bad = |change: fn(&mut Kv2Settings)| {
        let mut settings = world.settings(world.with_token(None));
        change(&mut settings);
        Kv2Store::new(settings).map(drop).unwrap_err().to_string()
    };
    assert!(bad(|settings| settings.address = "http://vault.example:8200".into()).contains("in the clear"));
    assert!(bad(|settings| settings.address = "http://127.0.0.1.evil.example".into()).contains("in the clear"));
    assert!(bad(|settings| settings.address = "vault.example".into()).contains("no address"));
    assert!(bad(|settings| settings.path = "a/../b".into()).contains("no plain name"));
    let unread = bad(|settings| {
        settings.address = "https://vault.example".into();
        settings.roots = Some("/nowhere".into());
    });
    assert!(unread.contains("/nowhere"), "{unread}");
}

#[tokio::test]
async fn what_the_server_says_is_told_with_the_next_step() {
    let world = World::new();
    world.server.put("agents/ci/KEY", json!({ "value": "the value" }));
    world.server.put("agents/ci/ODD", json!({ "password": "x" }));
    let store = world.store(world.with_role(SECRET_ID));
    assert_eq!(read(&store, "KEY").await.unwrap(), "the value");
    let odd = read(&store, "ODD").await.unwrap_err();
    assert!(odd.contains("no field `value`"), "{odd}");
    world.server.seal(true);
    let sealed = read(&store, "KEY").await.unwrap_err();
    assert!(sealed.contains("sealed") && sealed.contains("unseal"), "{sealed}");
    world.server.seal(false);
    world.server.revoke_all();
    let denied = read(&store, "KEY").await.unwrap_err();
    assert!(denied.contains("log in anew"), "{denied}");
    let wrong = read(&world.store(world.with_role("wrong")), "KEY").await.unwrap_err();
    assert!(wrong.contains("login is wrong"), "{wrong}");
    // None of it is an empty list.
    assert!(world.store(world.with_role("wrong")).list().await.is_err());
}

#[tokio::test]
async fn a_server_that_is_down_slow_or_something_else_is_an_error_in_time() {
    let world = World::new();
    let mut settings = world.settings(world.with_token(None));
    settings.timeout = Duration::from_millis(300);
    world.server.delay(Duration::from_secs(20));
    let slow = read(&Kv2Store::new(settings.clone()).unwrap(), "KEY").await.unwrap_err();
    assert!(slow.contains("can't be reached") || slow.contains("broke off"), "{slow}");
    let silent = TcpSink::start();
    settings.address = format!("http://{}", silent.address());
    assert!(read(&Kv2Store::new(settings.clone()).unwrap(), "KEY").await.is_err());
    settings.address = "http://127.0.0.1:1".into();
    let down = read(&Kv2Store::new(settings.clone()).unwrap(), "KEY").await.unwrap_err();
    assert!(down.contains("check `address`"), "{down}");
    let page = HttpServer::plain();
    page.route("/", |_| bartizan_testkit::http::Response::ok("<html>"));
    settings.address = format!("http://{}", page.address());
    assert!(read(&Kv2Store::new(settings.clone()).unwrap(), "KEY").await.unwrap_err().contains("no JSON"));
    let endless = HttpServer::plain();
    endless.route("/", |_| bartizan_testkit::http::Response::ok(vec![b' '; 8 << 20]));
    settings.address = format!("http://{}", endless.address());
    assert!(read(&Kv2Store::new(settings).unwrap(), "KEY").await.is_err());
}

#[tokio::test]
async fn leases_end_with_the_token_and_are_renewed() {
    let world = World::over(HttpServer::plain(), Duration::from_secs(120));
    world.server.put("agents/ci/KEY", json!({ "value": "the value" }));
    let store = world.store(world.with_role(SECRET_ID));
    let lease = store.read("KEY", None).await.unwrap();
    let until = lease.until.unwrap();
    assert!(until > jiff::Timestamp::now() && until <= jiff::Timestamp::now() + jiff::SignedDuration::from_secs(121));
    for _ in 0..3 {
        store.read("KEY", None).await.unwrap();
    }
    assert_eq!(world.server.logins(), 1);
    assert!(store.renew().await.unwrap().unwrap() >= until);
    assert_eq!((world.server.logins(), world.server.renewals()), (1, 1));
    // What can't be renewed is asked for anew; then there is nothing left to do.
    world.server.revoke_all();
    assert!(store.renew().await.unwrap().is_some());
    assert_eq!(world.server.logins(), 2);
    world.server.seal(true);
    assert!(store.renew().await.is_err());
    // A token that never ends gives leases that don't either.
    world.server.seal(false);
    assert_eq!(world.store(world.with_token(None)).read("KEY", None).await.unwrap().until, None);
}

#[tokio::test]
async fn versions_are_pinned_and_deleted_ones_are_gone() {
    let world = World::new();
    for value in ["one", "two", "three"] {
        world.server.put("agents/ci/KEY", json!({ "value": value }));
    }
    let store = world.store(world.with_token(None));
    assert_eq!(store.read("KEY", Some(2)).await.unwrap().value.expose(), b"two");
    world.server.delete_newest("agents/ci/KEY");
    assert_eq!(store.info("KEY").await.unwrap().versions.len(), 2);
    assert!(matches!(store.read("KEY", Some(3)).await, Err(StoreError::MissingVersion { version: 3, .. })));
}

#[tokio::test]
async fn deleted_versions_still_count() {
    let world = World::new();
    world.server.put("agents/ci/KEY", json!({ "value": "one" }));
    world.server.put("agents/ci/KEY", json!({ "value": "two" }));
    world.server.delete_newest("agents/ci/KEY");
    let store = world.store(world.with_token(None));
    let value = SecretValue::copy(b"three").unwrap();
    assert_eq!(store.write("KEY", &value, Expect::Existing).await.unwrap(), 3);
    world.server.delete_newest("agents/ci/KEY");
    assert!(matches!(store.read("KEY", None).await, Err(StoreError::Missing { .. })));
}

#[tokio::test]
async fn a_token_file_open_to_others_is_refused() {
    let world = World::new();
    let login = world.with_token(None);
    fs::set_permissions(world.directory.path().join("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = read(&world.store(login), "KEY").await.unwrap_err();
    assert!(refused.contains("open to others"), "{refused}");
}
