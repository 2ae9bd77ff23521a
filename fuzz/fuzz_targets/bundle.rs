//! Policy bundles: any statement and any manifest with a policy is read or refused, and what is read is one statement.
#![no_main]

use std::collections::BTreeMap;

use bartizan_policy::bundle::{Bundle, MANIFEST_FILE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Bundle::from_statement(bytes);
    // A manifest, a NUL, a policy: signed forms are never found by chance.
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (manifest, policy) = (parts.next().unwrap_or_default(), parts.next().unwrap_or(b"bartizan: 1\n"));
    let files =
        BTreeMap::from([(MANIFEST_FILE.to_owned(), manifest.to_vec()), ("policy.yaml".to_owned(), policy.to_vec())]);
    let Ok(bundle) = Bundle::new(files, None) else { return };
    let again = Bundle::from_statement(bundle.statement()).expect("what was written can be read");
    assert_eq!(again.digest(), bundle.digest());
});
