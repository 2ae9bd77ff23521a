//! How programs in a box come to trust its authority: the bundles of this host's distribution with one certificate more,
//! laid over the originals inside the box, and the variables by which programs that bring their own list are told.
//! Nothing of the host is changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::authority::{Authority, AuthorityError};

/// Where distributions keep all their roots in one file: Debian and its kin, Fedora and its kin, SUSE, Alpine.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Where they keep them for Java.
const JAVA_STORES: [&str; 3] =
    ["/etc/ssl/certs/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts", "/etc/pki/java/cacerts"];
/// The authority's certificate alone, inside.
const OWN_PATH: &str = "/run/bartizan/ca.pem";
/// The bundle inside, where the host has none to lay it over.
const BUNDLE_PATH: &str = "/run/bartizan/ca-bundle.pem";
/// Largest bundle: ten times what distributions ship. It is kept in the box's memory.
const BUNDLE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Programs that take a whole bundle from a variable: OpenSSL, Go and Rust; curl; git; Python's requests, pip; cargo; the
/// AWS tools; Nix; gRPC; Deno.
const BUNDLE_VARIABLES: [&str; 10] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
    "NIX_SSL_CERT_FILE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "DENO_CERT",
];
/// Programs that add to their own list: Node.
const OWN_VARIABLES: [&str; 1] = ["NODE_EXTRA_CA_CERTS"];

/// Why a box can't be made to trust its authority.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// There is none.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A bundle can't be read.
    #[error("TLS inspection: the root certificates in `{}` can't be read; mend the file or take the `http` lists out of the policy", path.display())]
    Read {
        /// The bundle.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A bundle is too large.
    #[error("TLS inspection: `{}` is larger than {BUNDLE_BYTES_MAX} bytes, which is no bundle of root certificates", path.display())]
    Large {
        /// The bundle.
        path: PathBuf,
    },
}

/// What a run needs to look into TLS.
#[derive(Debug)]
pub struct Inspection {
    /// Stays in this process.
    pub authority: Arc<Authority>,
    /// Goes into the box: absolute paths and what is to be found there.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Goes into the box's environment.
    pub variables: Vec<(&'static str, &'static str)>,
}

impl Inspection {
    /// For the run of this name. `own_bundle` is what SSL_CERT_FILE says outside: what this host's user trusts, the box
    /// trusts too.
    ///
    /// # Errors
    /// There is no authority, or a bundle can't be read.
    pub fn new(run: &str, own_bundle: Option<&Path>) -> Result<Self, TrustError> {
        let authority = Authority::new(run)?;
        let there: Vec<&'static str> = BUNDLES.into_iter().filter(|path| Path::new(path).exists()).collect();
        let mut bundle = Vec::new();
        let sources = there.first().map(Path::new).into_iter().chain(own_bundle);
        for path in sources {
            bundle.extend_from_slice(&read(path)?);
            if !bundle.ends_with(b"\n") {
                bundle.push(b'\n');
            }
        }
        bundle.extend_from_slice(authority.certificate_pem().as_bytes());
        let mut files = vec![(PathBuf::from(OWN_PATH), authority.certificate_pem().as_bytes().to_vec())];
        let java: Vec<&str> = JAVA_STORES.into_iter().filter(|path| Path::new(path).exists()).collect();
        if !java.is_empty() {
            let store = java_store(CertificateDer::pem_slice_iter(&bundle).flatten());
            files.extend(once(&java).map(|path| (path, store.clone())));
        }
        let at = there.first().copied().unwrap_or(BUNDLE_PATH);
        match there.is_empty() {
            true => files.push((PathBuf::from(BUNDLE_PATH), bundle)),
            false => files.extend(once(&there).map(|path| (path, bundle.clone()))),
        }
        let mut variables: Vec<_> = BUNDLE_VARIABLES.into_iter().map(|name| (name, at)).collect();
        variables.extend(OWN_VARIABLES.into_iter().map(|name| (name, OWN_PATH)));
        Ok(Self { authority: Arc::new(authority), files, variables })
    }
}

/// Each file once, however many names lead to it.
fn once(paths: &[&str]) -> impl Iterator<Item = PathBuf> {
    let mut real: Vec<PathBuf> = paths.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    real.sort();
    real.dedup();
    real.into_iter()
}

fn read(path: &Path) -> Result<Vec<u8>, TrustError> {
    use io::Read as _;
    let failed = |source| TrustError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(BUNDLE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BUNDLE_BYTES_MAX {
        return Err(TrustError::Large { path: path.to_owned() });
    }
    Ok(bytes)
}

/// A keystore of trusted certificates in Java's own format, `JKS` version 2: every Java reads it where it looks for
/// `cacerts`. The password in its checksum is the one that everybody knows.
fn java_store<'a>(certificates: impl Iterator<Item = CertificateDer<'a>>) -> Vec<u8> {
    const MAGIC: u32 = 0xfeed_feed;
    const VERSION: u32 = 2;
    const TRUSTED: u32 = 2;
    const PASSWORD: &str = "changeit";
    const WHITENER: &[u8] = b"Mighty Aphrodite";
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let now = u64::try_from(now).unwrap_or(0);
    let mut entries = Vec::new();
    let mut count: u32 = 0;
    for certificate in certificates {
        let Ok(length) = u32::try_from(certificate.len()) else { continue };
        entries.extend_from_slice(&TRUSTED.to_be_bytes());
        text(&mut entries, &format!("root{count}"));
        entries.extend_from_slice(&now.to_be_bytes());
        text(&mut entries, "X.509");
        entries.extend_from_slice(&length.to_be_bytes());
        entries.extend_from_slice(&certificate);
        count += 1;
    }
    let mut store = [MAGIC.to_be_bytes(), VERSION.to_be_bytes(), count.to_be_bytes()].concat();
    store.append(&mut entries);
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    PASSWORD.encode_utf16().for_each(|unit| digest.update(&unit.to_be_bytes()));
    digest.update(WHITENER);
    digest.update(&store);
    store.extend_from_slice(digest.finish().as_ref());
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_trusts_what_the_host_trusts_and_its_own_authority() {
        let place = tempfile::tempdir().unwrap();
        let bundle = place.path().join("roots.pem");
        let other = Authority::new("other").unwrap();
        fs::write(&bundle, other.certificate_pem().trim_end()).unwrap();
        let inspection = Inspection::new("run_1", Some(&bundle)).unwrap();
        let at = inspection.variables.iter().find(|(name, _)| *name == "SSL_CERT_FILE").unwrap().1;
        let at = fs::canonicalize(at).unwrap_or_else(|_| at.into());
        let (_, bytes) = inspection.files.iter().find(|(path, _)| *path == at).unwrap();
        let roots: Vec<_> = CertificateDer::pem_slice_iter(bytes).flatten().collect();
        for wanted in [other.certificate_der(), inspection.authority.certificate_der()] {
            assert!(roots.iter().any(|root| root.as_ref() == wanted));
        }
        for (path, bytes) in &inspection.files {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains("PRIVATE"), "{}", path.display());
        }
        assert!(matches!(Inspection::new("run_1", Some(&place.path().join("none"))), Err(TrustError::Read { .. })));
    }
}
