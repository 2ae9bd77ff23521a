//! The Merkle tree of RFC 6962 section 2.1: SHA-256, leaves and nodes told apart by their first byte.
//!
//! A log that only grows needs just its [`Frontier`]: the roots of the perfect subtrees on its right edge, at
//! most one a bit of its size. Proofs are made from the leaves they cover.

use sha2::{Digest as _, Sha256};

/// A node of the tree.
pub type Hash = [u8; 32];

/// Most hashes a proof can need: one a level of a tree with 2^63 leaves, and the consistency proof's first.
pub const PROOF_HASHES_MAX: usize = 64;

/// Hash of a leaf's bytes.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(bytes).finalize().into()
}

/// Hash of a node over its two children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root of the empty tree.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The right edge of a growing tree: all that is needed to append and to know the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the perfect subtrees, largest first; as many as `size` has bits set.
    roots: Vec<Hash>,
}

impl Frontier {
    /// The frontier with these subtree roots, largest first; `None` when their number doesn't fit the size.
    #[must_use]
    pub fn from_parts(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Subtree roots, largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one bit of the size is a finished subtree as large as the one that grows here.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.roots.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}

/// Root over these leaf hashes.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    frontier.root()
}

/// Where RFC 6962 splits a tree of `size` > 1 leaves: the largest power of two below it.
fn split(size: usize) -> usize {
    size.checked_sub(1).and_then(usize::checked_ilog2).map_or(0, |bits| 1 << bits)
}

/// Proof that leaf `index` is in the tree over `leaves`; `None` when it isn't.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut leaves, mut index) = (leaves, index);
    let mut proof = Vec::new();
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at_checked(split(leaves.len()))?;
        if index < left.len() {
            proof.push(root(right));
            leaves = left;
        } else {
            proof.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Whether the proof shows leaf `index` in the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Proof that the tree over the first `size` of `leaves` is a prefix of the tree over all of them.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], size: usize) -> Option<Vec<Hash>> {
    if size == 0 || size > leaves.len() {
        return None;
    }
    let (mut leaves, mut size, mut whole) = (leaves, size, true);
    let mut proof = Vec::new();
    while size < leaves.len() {
        let (left, right) = leaves.split_at_checked(split(leaves.len()))?;
        if size <= left.len() {
            proof.push(root(right));
            leaves = left;
        } else {
            proof.push(root(left));
            size -= left.len();
            leaves = right;
            whole = false;
        }
    }
    if !whole {
        proof.push(root(leaves));
    }
    proof.reverse();
    Some(proof)
}

/// Whether the proof shows that the tree of `old_size` leaves is a prefix of that of `new_size` (RFC 9162, 2.1.4.2).
#[must_use]
pub fn verify_consistency(old_size: u64, old_root: &Hash, new_size: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old_size == 0 || old_size > new_size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    let mut path = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == *old_root && new == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6962's definition, word for word: what the quick forms are held against.
    fn definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(&definition(left), &definition(right))
            }
        }
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_le_bytes())).collect()
    }

    fn hex(hash: Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The eight inputs and roots of Certificate Transparency's reference tests.
    #[test]
    fn roots_match_the_reference_vectors() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(hex(frontier.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (input, root) in inputs.iter().zip(roots) {
            frontier.push(leaf_hash(input));
            assert_eq!(hex(frontier.root()), root);
        }
    }

    proptest! {
        #[test]
        fn frontier_gives_the_definition(count in 0_usize..200) {
            let leaves = leaves(count);
            prop_assert_eq!(root(&leaves), definition(&leaves));
        }

        #[test]
        fn inclusion_proofs_hold_for_their_leaf_only(count in 1_usize..100, pick in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
            let leaves = leaves(count);
            let (index, other) = (pick.index(count), other.index(count));
            let proof = inclusion_proof(&leaves, index).unwrap();
            let root = definition(&leaves);
            prop_assert!(verify_inclusion(leaves[index], index as u64, count as u64, &proof, &root));
            if other != index {
                prop_assert!(!verify_inclusion(leaves[other], index as u64, count as u64, &proof, &root));
                prop_assert!(!verify_inclusion(leaves[index], other as u64, count as u64, &proof, &root));
            }
            for cut in 0..proof.len() {
                prop_assert!(!verify_inclusion(leaves[index], index as u64, count as u64, &proof[..cut], &root));
            }
        }

        #[test]
        fn consistency_proofs_hold_for_their_prefix_only(count in 1_usize..100, pick in any::<prop::sample::Index>()) {
            let leaves = leaves(count);
            let size = pick.index(count) + 1;
            let proof = consistency_proof(&leaves, size).unwrap();
            let (old, new) = (definition(&leaves[..size]), definition(&leaves));
            prop_assert!(verify_consistency(size as u64, &old, count as u64, &new, &proof));
            prop_assert!(!verify_consistency(size as u64, &leaf_hash(b"x"), count as u64, &new, &proof));
            prop_assert!(!verify_consistency(size as u64, &old, count as u64, &leaf_hash(b"x"), &proof));
            if size < count {
                prop_assert!(!verify_consistency(size as u64, &old, count as u64, &new, &proof[1..]));
            }
        }
    }
}
