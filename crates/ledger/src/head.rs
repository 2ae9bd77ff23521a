//! The head: where the ledger ended after the last commit, signed. One block, overwritten in place under
//! the ledger's lock and never waited for: after a power cut it may be older than the entries, which is
//! mended by reading on from it, but never newer, which is how a cut tail shows.
//!
//! Before a batch is written the head also says, signed, what the ledger will be with it. So when a writer dies
//! in the middle, the entries it left can be told from entries that somebody without the key has added.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bartizan_crypto::{Checkpoint, Frontier, Hash, PublicKey};
use bartizan_model::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::end::End;
use crate::layout;

/// One page: written at once, so that a killed process can't leave half of it. The 53 subtree roots that the largest
/// ledger can have take 2,500 bytes, the rest some 900.
const HEAD_BYTES: usize = 4096;

/// Version of the head's form.
const HEAD_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct HeadForm<'a> {
    version: u32,
    checkpoint: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intended: Option<Cow<'a, str>>,
    before_last: Vec<String>,
    last: Digest,
    at: Option<Timestamp>,
    segment: u32,
    start: u64,
    offset: u64,
    checkpointed: u64,
}

/// A head that was read and holds together: its signature covers the tree, and the tree the last entry.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) end: End,
    pub(crate) checkpoint: Checkpoint,
    /// The checkpoint as it was signed.
    pub(crate) note: String,
    /// What the ledger is once the batch is written that was under way.
    pub(crate) intended: Option<Checkpoint>,
    /// Size at the last durable checkpoint; a hint.
    pub(crate) checkpointed: u64,
}

/// Overwrites the head. `note` is the checkpoint of `end`; `intended` that of the end after the batch under way.
pub(crate) fn write(file: &File, end: &End, note: &str, intended: Option<&str>, checkpointed: u64) -> io::Result<()> {
    let form = HeadForm {
        version: HEAD_VERSION,
        checkpoint: Cow::Borrowed(note),
        intended: intended.map(Cow::Borrowed),
        before_last: end.before_last().roots().iter().map(|root| STANDARD.encode(root)).collect(),
        last: end.last.into(),
        at: end.at,
        segment: end.segment,
        start: end.start,
        offset: end.offset,
        checkpointed,
    };
    let mut block = Vec::with_capacity(HEAD_BYTES);
    serde_json::to_writer(&mut block, &form)?;
    block.resize(HEAD_BYTES - 1, b' ');
    block.push(b'\n');
    file.write_all_at(&block, 0)
}

/// Reads and authenticates a head; `None` when it is absent, damaged or forged.
pub(crate) fn read(file: &File, key: &PublicKey) -> io::Result<Option<Head>> {
    let mut block = [0; HEAD_BYTES];
    match file.read_exact_at(&mut block, 0) {
        Ok(()) => Ok(parse(&block, key)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// As [`read`], from bytes.
pub(crate) fn parse(block: &[u8], key: &PublicKey) -> Option<Head> {
    let form: HeadForm<'_> = serde_json::from_slice(block.trim_ascii_end()).ok()?;
    let origin = layout::origin(key);
    let checkpoint = Checkpoint::open(&form.checkpoint, &origin, key).ok()?;
    let end = match (checkpoint.size, form.at) {
        (0, _) => End::empty(&origin),
        (size, Some(at)) => {
            let roots: Option<Vec<Hash>> =
                form.before_last.iter().map(|root| STANDARD.decode(root).ok()?.try_into().ok()).collect();
            let before_last = Frontier::from_parts(size - 1, roots?)?;
            End::from_parts(before_last, *form.last.as_bytes(), at, (form.segment, form.start, form.offset))
        }
        _ => return None,
    };
    let holds = form.version == HEAD_VERSION && end.size() == checkpoint.size && end.root() == checkpoint.root;
    let intended = form.intended.and_then(|note| Checkpoint::open(&note, &origin, key).ok());
    holds.then_some(Head {
        end,
        checkpoint,
        note: form.checkpoint.into_owned(),
        intended,
        checkpointed: form.checkpointed,
    })
}
