//! Archives written in memory: what registries serve.

use std::io::Write;

use flate2::{Compression, Crc, write::GzEncoder};
use sha2::{Digest, Sha256};

/// A gzipped tar of regular files.
pub fn tar_gz(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// A zip of stored (uncompressed) files, after PKWARE's APPNOTE: each file with its local header, then the
/// central directory, then its end record.
pub fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    const LOCAL: u32 = 0x0403_4b50;
    const CENTRAL: u32 = 0x0201_4b50;
    const END: u32 = 0x0605_4b50;
    const VERSION: u16 = 20;
    // 1980-01-01, the earliest a zip can say.
    const DATE: u16 = 0x21;

    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (path, text) in files {
        let mut crc = Crc::new();
        crc.update(text.as_bytes());
        let size = u32::try_from(text.len()).unwrap();
        let mut common = Vec::new();
        for field in [VERSION, 0, 0, 0, DATE] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc.sum(), size, size] {
            common.extend(field.to_le_bytes());
        }
        for field in [u16::try_from(path.len()).unwrap(), 0] {
            common.extend(field.to_le_bytes());
        }
        let offset = u32::try_from(bytes.len()).unwrap();
        bytes.extend(LOCAL.to_le_bytes());
        bytes.extend(&common);
        bytes.extend(path.as_bytes());
        bytes.extend(text.as_bytes());

        directory.extend(CENTRAL.to_le_bytes());
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&common);
        // No comment, first disk, no attributes inside, a regular file 0644 outside.
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(path.as_bytes());
    }
    let count = u16::try_from(files.len()).unwrap();
    let start = u32::try_from(bytes.len()).unwrap();
    let size = u32::try_from(directory.len()).unwrap();
    bytes.extend(directory);
    bytes.extend(END.to_le_bytes());
    for field in [0, 0, count, count] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(size.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.write_all(&[0, 0]).unwrap();
    bytes
}

/// Lower-case hex of the SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
