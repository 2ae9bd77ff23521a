//! The one contract suite of secret stores: what whoever uses a store may rely on, whichever it is. A store passes
//! [`reads`], and [`writes`] too unless it can only be read.

use bartizan_gate::store::{Expect, SECRET_BYTES_MAX, SecretStore, SecretValue, StoreError};

fn value(bytes: &[u8]) -> SecretValue {
    SecretValue::copy(bytes).unwrap()
}

/// What every store keeps to. It holds the secret `PRESENT` with this value, and none called `ABSENT`.
pub async fn reads(store: &dyn SecretStore, present: &[u8]) {
    let lease = store.read("PRESENT", None).await.unwrap();
    assert_eq!(lease.value.expose(), present);
    let info = store.info("PRESENT").await.unwrap();
    assert_eq!(info.name, "PRESENT");
    assert_eq!(info.versions.last().unwrap().number, lease.version);
    let pinned = store.read("PRESENT", Some(lease.version)).await.unwrap();
    assert_eq!((pinned.value.expose(), pinned.version), (present, lease.version));
    let names: Vec<String> = store.list().await.unwrap().into_iter().map(|info| info.name).collect();
    assert!(names.contains(&"PRESENT".to_owned()) && names.is_sorted(), "{names:?}");

    assert!(matches!(store.read("ABSENT", None).await, Err(StoreError::Missing { name }) if name == "ABSENT"));
    assert!(matches!(store.info("ABSENT").await, Err(StoreError::Missing { .. })));
    let never = store.read("PRESENT", Some(lease.version + 1000)).await;
    assert!(matches!(never, Err(StoreError::MissingVersion { .. })), "{never:?}");
    for bad in ["", ".", "..", "../key", "a/b", "a b", "-a", "a\0", "ä", &"a".repeat(65)] {
        assert!(matches!(store.read(bad, None).await, Err(StoreError::Name(_))), "{bad:?}");
    }
    let said = format!("{lease:?} {info:?} {never:?}");
    assert!(!said.contains(std::str::from_utf8(present).unwrap()), "a value shows in `{said}`");
}

/// What a store keeps to that can be written. `open` opens the same one anew: what was kept is there.
pub async fn writes(open: impl Fn() -> Box<dyn SecretStore>) {
    let store = open();
    assert_eq!(store.write("PRESENT", &value(b"the first value"), Expect::New).await.unwrap(), 1);
    reads(&*store, b"the first value").await;
    let again = store.write("PRESENT", &value(b"x"), Expect::New).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    let unknown = store.write("ABSENT", &value(b"x"), Expect::Existing).await;
    assert!(matches!(unknown, Err(StoreError::Missing { .. })), "{unknown:?}");

    assert_eq!(store.write("PRESENT", &value(b"the second value"), Expect::Existing).await.unwrap(), 2);
    let other = open();
    reads(&*other, b"the second value").await;
    assert_eq!(other.read("PRESENT", Some(1)).await.unwrap().value.expose(), b"the first value");

    let every_byte: Vec<u8> = (0..=255).collect();
    let longest = vec![b'x'; SECRET_BYTES_MAX];
    for (name, bytes) in [("BYTES", &every_byte), ("LONGEST", &longest)] {
        store.write(name, &value(bytes), Expect::New).await.unwrap();
        assert_eq!(other.read(name, None).await.unwrap().value.expose(), bytes.as_slice());
    }
    for bad in [Vec::new(), vec![b'x'; SECRET_BYTES_MAX + 1]] {
        let refused = store.write("REFUSED", &value(&bad), Expect::New).await;
        assert!(matches!(refused, Err(StoreError::Length { .. })), "{refused:?}");
    }
    assert!(matches!(store.write("../out", &value(b"x"), Expect::New).await, Err(StoreError::Name(_))));

    other.remove("BYTES").await.unwrap();
    assert!(matches!(store.read("BYTES", None).await, Err(StoreError::Missing { .. })));
    assert!(matches!(store.remove("BYTES").await, Err(StoreError::Missing { .. })));
    // Gone means gone: another one of its name starts anew.
    assert_eq!(store.write("BYTES", &value(b"anew"), Expect::New).await.unwrap(), 1);
    assert!(matches!(store.read("BYTES", Some(2)).await, Err(StoreError::MissingVersion { .. })));
}
