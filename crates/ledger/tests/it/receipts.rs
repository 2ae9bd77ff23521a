//! Receipts: rebuilt from the ledger, checked by strangers with nothing but the public key.

use std::io::Write as _;

use bartizan_crypto::Envelope;
use bartizan_ledger::{ReceiptError, Receipts, verify_envelope};
use bartizan_model::verdict::Effect;
use bartizan_model::{ActionId, Deed, Record, Refused, RunId};
use jiff::Timestamp;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::support::{Home, action, connect, deed, note, refuse, verdict};

#[test]
fn done_and_refused_actions_have_receipts_that_verify_offline() {
    let home = Home::new();
    let ledger = home.open();
    let run = RunId::generate();
    let done = action(Some(&run), "coder", connect("example.com"));
    let opened = deed(&home, &ledger, &done, true);
    let refused = action(Some(&run), "coder", connect("evil.example"));
    refuse(&home, &ledger, &refused, Effect::Deny, Refused::Policy);
    let mut index = home.index();
    let envelope = Receipts::new(&mut index).of(&done.id).unwrap();
    let json = envelope.to_json().unwrap();
    let statement = verify_envelope(&Envelope::from_json(json.as_bytes()).unwrap(), &home.public()).unwrap();
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], done.digest().unwrap().hex());
    assert_eq!(statement["predicate"]["opened"], opened);
    assert_eq!(statement["predicate"]["outcome"]["figures"]["sent_bytes"], 12);
    let envelope = Receipts::new(&mut index).of(&refused.id).unwrap();
    let statement = verify_envelope(&envelope, &home.public()).unwrap();
    assert_eq!(statement["predicate"]["refused"]["why"], "policy");
    let other = bartizan_crypto::SigningKey::from_seed(&[9; 32]).public();
    assert!(matches!(verify_envelope(&envelope, &other), Err(ReceiptError::Envelope(_))));
}

/// Every number a tool call may carry comes back from the ledger as it was signed.
#[test]
fn receipts_survive_awkward_arguments() {
    let home = Home::new();
    let ledger = home.open();
    let arguments = r#"{"big":9007199254740991,"half":0.5,"e":1e300,"neg":-0.0,"tiny":5e-324,"i":-9007199254740991,"z":null,"s":"é\u0000\u2028😀","a":[1.0,[],{}],"":1}"#;
    let call =
        Deed::ToolCall { server: "s".into(), name: "n".into(), arguments: serde_json::from_str(arguments).unwrap() };
    let call = action(None, "coder", call);
    deed(&home, &ledger, &call, true);
    let envelope = Receipts::new(&mut home.index()).of(&call.id).unwrap();
    verify_envelope(&envelope, &home.public()).unwrap();
}

#[test]
fn what_has_none_says_why() {
    let home = Home::new();
    let ledger = home.open();
    let open = action(None, "coder", connect("example.com"));
    deed(&home, &ledger, &open, false);
    let judged = action(None, "coder", connect("example.com"));
    let record = Record::Judged {
        action: judged.clone(),
        action_digest: judged.digest().unwrap(),
        verdict: verdict(Effect::Allow),
    };
    ledger.append_blocking(Timestamp::now(), &record).unwrap();
    ledger.append_blocking(Timestamp::now(), &note("x")).unwrap();
    let mut index = home.index();
    let mut receipts = Receipts::new(&mut index);
    assert!(matches!(receipts.of(&open.id), Err(ReceiptError::Open { .. })));
    assert!(matches!(receipts.of(&judged.id), Err(ReceiptError::Unsigned { .. })));
    assert!(matches!(receipts.of(&ActionId::generate()), Err(ReceiptError::Unknown { .. })));
}

fn receipt_json(home: &Home) -> String {
    let ledger = home.open();
    let done = action(None, "coder", connect("example.com"));
    deed(home, &ledger, &done, true);
    Receipts::new(&mut home.index()).of(&done.id).unwrap().to_json().unwrap()
}

/// Sigstore's DSSE and ring's Ed25519: a reader that shares no code with ours.
#[test]
fn a_third_party_library_accepts_a_receipt() {
    let home = Home::new();
    let json = receipt_json(&home);
    let accepts = |json: &str| {
        let envelope: sigstore_types::DsseEnvelope = serde_json::from_str(json).unwrap();
        assert_eq!(envelope.payload_type, "application/vnd.in-toto+json");
        UnparsedPublicKey::new(&ED25519, home.public().as_bytes())
            .verify(&envelope.pae(), envelope.signature.sig.as_bytes())
            .is_ok()
    };
    assert!(accepts(&json));
    let mut envelope = Envelope::from_json(json.as_bytes()).unwrap();
    envelope.payload = envelope.payload.replacen('A', "B", 1);
    assert!(!accepts(&envelope.to_json().unwrap()));
}

/// Checks an envelope with the reference DSSE implementation: exits 0 when it holds.
const SECURESYSTEMSLIB: &str = r#"
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
envelope = Envelope.from_dict(json.load(sys.stdin))
key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[1], "rb").read()), envelope_keyid := sys.argv[2])
accepted = envelope.verify([key], 1)
statement = json.loads(envelope.payload)
assert statement["_type"] == "https://in-toto.io/Statement/v1", statement
assert list(accepted) == [envelope_keyid]
"#;

/// The in-toto project's own library, where set-up has put it; its absence fails a run that claims to be complete.
#[test]
fn the_reference_library_accepts_a_receipt() {
    let Some(python) = std::env::var_os("BARTIZAN_TEST_PYTHON") else {
        assert!(std::env::var_os("CI").is_none(), "BARTIZAN_TEST_PYTHON must name a Python with securesystemslib");
        println!("skipped: BARTIZAN_TEST_PYTHON names no Python with securesystemslib; `cargo xtask setup` makes one");
        return;
    };
    let home = Home::new();
    let json = receipt_json(&home);
    let public = home.directory.path().join("ledger.pub");
    std::fs::write(&public, home.public().to_pem().unwrap()).unwrap();
    let accepts = |json: &str| {
        #[expect(clippy::disallowed_methods, reason = "the library is another language's")]
        let mut child = std::process::Command::new(&python)
            .arg("-c")
            .arg(SECURESYSTEMSLIB)
            .arg(&public)
            .arg(home.public().key_id())
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(json.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (good, said) = accepts(&json);
    assert!(good, "{said}");
    let mut envelope = Envelope::from_json(json.as_bytes()).unwrap();
    envelope.payload = envelope.payload.replacen('A', "B", 1);
    let (good, said) = accepts(&envelope.to_json().unwrap());
    assert!(!good && said.contains("VerificationError"), "{said}");
}
