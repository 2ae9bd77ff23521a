//! Every store passes the one suite; beyond it, what each promises alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use bartizan_gate::store::{Expect, SecretStore, SecretValue, StoreError};
use bartizan_policy::Grant;
use bartizan_testkit::store::{reads, writes};
use bartizan_vault::{AgeStore, EnvironmentStore, Grants};

struct Vault(tempfile::TempDir);

impl Vault {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self(directory)
    }

    fn open(&self) -> Result<AgeStore, StoreError> {
        AgeStore::open(self.0.path())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn value(text: &str) -> SecretValue {
    SecretValue::copy(text.as_bytes()).unwrap()
}

#[tokio::test]
async fn age_passes_the_suite() {
    let vault = Vault::new();
    writes(|| Box::new(vault.open().unwrap())).await;
}

#[tokio::test]
async fn environment_passes_the_suite_and_cant_be_written() {
    let variables = [("PRESENT", "from outside"), ("EMPTY", ""), ("BASH_FUNC_x%%", "() { :; }")];
    let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let store = EnvironmentStore::new(variables).unwrap();
    reads(&store, b"from outside").await;
    assert_eq!(store.list().await.unwrap().len(), 1);
    let written = store.write("X", &value("x"), Expect::New).await;
    assert!(matches!(written, Err(StoreError::ReadOnly { .. })));
}

#[tokio::test]
async fn nothing_on_disk_is_in_the_clear_or_open_to_others() {
    let vault = Vault::new();
    let canary = "canary-value-that-nobody-else-writes";
    let store = vault.open().unwrap();
    store.write("A", &value(canary), Expect::New).await.unwrap();
    store.write("A", &value(canary), Expect::Existing).await.unwrap();
    for entry in fs::read_dir(vault.0.path()).unwrap().flatten() {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{entry:?}");
        let bytes = fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{entry:?}");
    }
    assert!(!vault.file(".draft").exists());
}

#[tokio::test]
async fn what_others_could_touch_or_made_is_refused() {
    let vault = Vault::new();
    let store = vault.open().unwrap();
    store.write("A", &value("value of a"), Expect::New).await.unwrap();
    store.write("B", &value("value of b"), Expect::New).await.unwrap();
    let refused = |result: Result<bartizan_gate::store::Lease, StoreError>, word: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    };
    // Another secret's file in its place.
    fs::rename(vault.file("B.age"), vault.file("A.age")).unwrap();
    refused(store.read("A", None).await, "damaged");
    let mut bytes = fs::read(vault.file("A.age")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(vault.file("A.age"), bytes).unwrap();
    refused(store.read("A", None).await, "damaged");
    fs::set_permissions(vault.file("A.age"), fs::Permissions::from_mode(0o644)).unwrap();
    refused(store.read("A", None).await, "open to others");
    fs::remove_file(vault.file("A.age")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", vault.file("A.age")).unwrap();
    refused(store.read("A", None).await, "failed to open");
    fs::set_permissions(vault.file("key.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(vault.open().is_err());
    fs::set_permissions(vault.file("key.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(vault.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(vault.open().is_err());
}

#[tokio::test]
async fn a_lost_key_is_not_made_anew_over_sealed_secrets() {
    let vault = Vault::new();
    vault.open().unwrap().write("A", &value("value of a"), Expect::New).await.unwrap();
    fs::remove_file(vault.file("key.txt")).unwrap();
    let error = vault.open().map(drop).unwrap_err().to_string();
    assert!(error.contains("restore it from a backup"), "{error}");
}

#[tokio::test]
async fn a_write_that_was_cut_short_leaves_what_was_there() {
    let vault = Vault::new();
    let store = vault.open().unwrap();
    store.write("A", &value("the old value"), Expect::New).await.unwrap();
    // What a killed writer leaves: half of a draft. The next one clears it away.
    fs::write(vault.file(".draft"), b"age-encryption.org/v1\nhalf").unwrap();
    assert_eq!(store.read("A", None).await.unwrap().value.expose(), b"the old value");
    store.write("A", &value("the new value"), Expect::Existing).await.unwrap();
    assert_eq!(store.read("A", None).await.unwrap().value.expose(), b"the new value");
}

#[test]
fn many_writers_lose_nothing() {
    let vault = Vault::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let vault = &vault;
            scope.spawn(move || {
                // Each opens it anew, as processes do; one of them makes the key.
                let store = vault.open().unwrap();
                for number in 0..5 {
                    let name = format!("S{writer}_{number}");
                    runtime().block_on(store.write(&name, &value("some value"), Expect::New)).unwrap();
                }
            });
        }
    });
    assert_eq!(runtime().block_on(vault.open().unwrap().list()).unwrap().len(), 20);
}

#[test]
fn grants_are_kept_checked_and_taken_back() {
    let vault = Vault::new();
    let grants = Grants::open(vault.0.path()).unwrap();
    let grant = |host: &str| Grant {
        host: host.into(),
        method: vec!["get".into()],
        path: None,
        at: "header.Authorization".into(),
        text: None,
        plain_http: false,
    };
    grants.add("KEY", grant("api.test")).unwrap();
    grants.add("KEY", grant("api.test")).unwrap();
    grants.add("KEY", grant("other.test:8443")).unwrap();
    assert!(grants.add("KEY", grant("*")).is_err() && grants.add("../KEY", grant("a.test")).is_err());
    let kept = Grants::open(vault.0.path()).unwrap().of("KEY").unwrap();
    assert_eq!(kept.iter().map(|grant| grant.host.as_str()).collect::<Vec<_>>(), ["api.test", "other.test:8443"]);
    assert_eq!((kept[0].method[0].as_str(), kept[0].at.as_str()), ("GET", "header.authorization"));
    assert_eq!(grants.revoke("KEY", 1).unwrap().host, "api.test");
    assert!(grants.revoke("KEY", 2).is_err());
    grants.forget("KEY").unwrap();
    assert!(grants.of("KEY").unwrap().is_empty());
    fs::write(vault.file("grants.json"), b"{\"KEY\": [{\"host\": \"*\", \"at\": \"header.a\"}]}").unwrap();
    assert!(grants.of("KEY").is_err());
}
