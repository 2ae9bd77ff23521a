//! Signs receipts with the ledger's key.

use std::sync::Arc;

use bartizan_crypto::SigningKey;
use bartizan_crypto::dsse::pre_authentication_encoding;
use bartizan_gate::{SignError, Signer};
use bartizan_model::SealedReceipt;
use bartizan_model::receipt::STATEMENT_VERSION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The gate's signer over an Ed25519 key.
pub struct LedgerSigner {
    key: Arc<SigningKey>,
    key_id: String,
}

impl LedgerSigner {
    /// A signer with this key.
    #[must_use]
    pub fn new(key: Arc<SigningKey>) -> Self {
        let key_id = key.public().key_id();
        Self { key, key_id }
    }
}

impl Signer for LedgerSigner {
    fn sign(&self, payload_type: &str, payload: &[u8]) -> Result<SealedReceipt, SignError> {
        let signature = self.key.sign(&pre_authentication_encoding(payload_type, payload));
        Ok(SealedReceipt {
            version: STATEMENT_VERSION,
            key_id: self.key_id.clone(),
            signature: STANDARD.encode(signature),
        })
    }
}
