//! Microsoft: keys of Azure's services by the signature in them, client secrets, shared access, connection strings.
//!
//! Azure's keys carry a four-letter mark of their service at a fixed place and end with a checksum, so that they can be
//! told from any other base64.

use super::judge::{LIKELY, SURE, distinct, looks_random, token};
use crate::detector::{Detector, Found, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret(
        "azure-key",
        &[Hint::Exact(&["+ASt", "ACDb", "+ABa", "+AMC"])],
        Look::Around(80, r"(?:^|[^A-Za-z0-9+/])([A-Za-z0-9+/]{76}(?:\+ASt|ACDb|\+ABa|\+AMC)[A-Za-z0-9+/]{6}==)", token),
    ),
    secret(
        "azure-key",
        &[Hint::Exact(&["+ASb", "+AEh", "+ARm", "AIoT"])],
        Look::Around(36, r"(?:^|[^A-Za-z0-9+/])([A-Za-z0-9+/]{33}(?:\+ASb|\+AEh|\+ARm|AIoT)[A-Za-z0-9+/]{6}=)", token),
    ),
    secret(
        "azure-key",
        &[Hint::Exact(&["AzFu", "AzCa", "AzSe", "+ACR"])],
        Look::Around(
            56,
            r"(?:^|[^A-Za-z0-9_+/-])([A-Za-z0-9_+/-]{33,52}(?:AzFu|AzCa|AzSe|\+ACR)[A-Za-z0-9_+/-]{5,8}={0,2})(?:[^A-Za-z0-9_+/=-]|$)",
            mixed,
        ),
    ),
    // Keys of the newest kind: 52 random, the mark, where and when it was made, the service, a checksum.
    secret(
        "azure-key",
        &[Hint::Exact(&["JQQJ99"])],
        Look::Around(54, r"\b[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{20,30}={0,2}", token),
    ),
    secret(
        "azure-client-secret",
        &[Hint::Exact(&["7Q~", "8Q~", "0Q~", "1Q~", "2Q~", "3Q~", "4Q~", "5Q~", "6Q~", "9Q~"])],
        Look::Around(
            4,
            r"(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~.-]|$)",
            token,
        ),
    ),
    // A random part, the mark, and a checksum nobody has published.
    secret(
        "azure-devops-token",
        &[Hint::Exact(&["AZDO"])],
        Look::Around(80, r"\b[A-Za-z0-9]{72,80}AZDO[A-Za-z0-9]{4}\b", token),
    ),
    secret(
        "azure-sas",
        &[Hint::Exact(&["sig="])],
        Look::From(r"sig=([A-Za-z0-9+/%]{40,90}(?:=|%3D|%3d)?)", shared_access),
    ),
    secret(
        "azure-connection-key",
        &[Hint::AnyCase(&["AccountKey=", "SharedAccessKey=", "AccessKey="])],
        Look::From(r"(?i)(?:AccountKey|SharedAccessKey|AccessKey)=([A-Za-z0-9+/]{40,120}={0,2})", mixed),
    ),
];

fn mixed(found: &Found<'_>) -> u8 {
    if distinct(found.secret) >= 14 && looks_random(found.secret) { SURE } else { 0 }
}

/// `sig` is a parameter of other things too; a shared access signature has a version and an expiry beside it.
fn shared_access(found: &Found<'_>) -> u8 {
    let near = [found.line_before(400), found.line_after(300)].concat();
    let has = |name: &[u8]| near.windows(name.len()).any(|window| window == name);
    if !looks_random(found.secret) {
        0
    } else if has(b"sv=") || has(b"se=") || has(b"sr=") {
        SURE
    } else {
        LIKELY
    }
}
