//! The calls that are held, in one form for all their variants.

/// Where a relative path starts: a descriptor of the caller's, or its working directory.
pub(crate) type Start = i32;

pub(crate) struct Named {
    pub(crate) start: Start,
    pub(crate) path: Vec<u8>,
}

pub(crate) enum Deed {
    Exec { file: Named, argv: Vec<Vec<u8>>, truncated: bool, flags: u32 },
    Open { file: Named, flags: u32, mode: u32 },
    MakeDirectory { file: Named, mode: u32 },
    MakeNode { file: Named, mode: u32, device: u64 },
    MakeSymlink { target: Vec<u8>, file: Named },
    MakeLink { old: Named, new: Named, flags: u32 },
    Rename { old: Named, new: Named, flags: u32 },
}
