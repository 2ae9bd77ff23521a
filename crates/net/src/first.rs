//! The first bytes a program sends through a connection decide whether it is the connection that was admitted: TLS must
//! name the admitted host, plain HTTP must be meant for it. They are checked before any of them is passed on, whenever
//! they come; protocols in which the server speaks first are not kept waiting.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::head::{self, Head, Reading, Target};
use crate::hello::{self, Hello};
use crate::host::Host;
use crate::reply::Reply;

/// How long a client may take from its first byte until it is clear what it speaks.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long a first line that could still become a request is passed on all the same, where that may be: a
/// protocol of short words without line ends would wait for ever.
const BRIEF_TIMEOUT: Duration = Duration::from_millis(500);
/// How much is read at once while that isn't clear.
const READ_BYTES: usize = 4096;

/// What the client speaks, with the bytes it has sent so far.
pub(crate) enum First {
    /// It has closed its side without a word.
    Nothing,
    /// TLS that names this host, or none.
    Tls(Option<Host>, Vec<u8>),
    /// One HTTP request; the bytes are what followed its head.
    Http(Box<Head>, Vec<u8>),
    /// Something else.
    Opaque(Vec<u8>),
    /// The beginning of a line that may still become a request; only with [`Patience::Brief`].
    Unclear(Vec<u8>),
}

/// How long it is waited until it is clear what the client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it is.
    Long,
    /// Only a little, where the caller keeps checking.
    Brief,
}

/// Why the first bytes are not passed on.
#[derive(Debug)]
pub(crate) enum FirstError {
    /// The connection broke off.
    Broken(io::Error),
    /// They can't be what they claim to be; with the reply, where the client speaks HTTP.
    Malformed(String, Option<Reply>),
}

impl From<io::Error> for FirstError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Reads until it is clear what the client speaks. Waits for the first byte as long as the connection lives.
pub(crate) async fn listen(client: &TcpStream, before: Vec<u8>, patience: Patience) -> Result<First, FirstError> {
    let mut bytes = before;
    if bytes.is_empty() && !more(client, &mut bytes).await? {
        return Ok(First::Nothing);
    }
    let deadline = Instant::now() + CLEAR_TIMEOUT;
    let brief = Instant::now() + BRIEF_TIMEOUT;
    loop {
        bytes = match sort(bytes)? {
            Ok(first) => return Ok(first),
            Err(unclear) => unclear,
        };
        let passable = patience == Patience::Brief && is_passable(&bytes);
        match timeout_at(if passable { brief } else { deadline }, more(client, &mut bytes)).await {
            Ok(Ok(true)) => {}
            // Without a complete line no server takes it for a request, without a complete hello none for TLS.
            Ok(Ok(false)) if is_passable(&bytes) => return Ok(First::Opaque(bytes)),
            Ok(Ok(false)) => {
                return Err(FirstError::Malformed("the program broke off in its first message".to_owned(), None));
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) if passable => return Ok(First::Unclear(bytes)),
            Err(_) => {
                let reason = "the program's first message did not arrive in time".to_owned();
                return Err(FirstError::Malformed(reason, Some(Reply::timeout())));
            }
        }
    }
}

/// Whether the server can't do anything with these bytes yet, so that they may be passed on unchecked.
fn is_passable(bytes: &[u8]) -> bool {
    !bytes.contains(&b'\n') && hello::inspect(bytes) == Hello::NotTls
}

/// Reads on after [`First::Unclear`]: what is appended may be passed on, unless it is an error.
pub(crate) async fn listen_on(client: &TcpStream, bytes: &mut Vec<u8>) -> Result<Clarity, FirstError> {
    if !more(client, bytes).await? {
        return Ok(Clarity::Ended);
    }
    match head::read(bytes) {
        Reading::NotHttp | Reading::Http2 => Ok(Clarity::Opaque),
        Reading::Incomplete if is_passable(bytes) => Ok(Clarity::Unclear),
        // Its beginning has gone out as it was; too late to check and rewrite it.
        _ => {
            let reason = "an HTTP request must arrive without long pauses in its first line".to_owned();
            let reply = Reply::bad_request(&reason);
            Err(FirstError::Malformed(reason, Some(reply)))
        }
    }
}

/// What [`listen_on`] found.
pub(crate) enum Clarity {
    /// The client has finished.
    Ended,
    /// It is no request.
    Opaque,
    /// It may still become one.
    Unclear,
}

/// What these bytes are, or the bytes back when that isn't clear yet.
fn sort(mut bytes: Vec<u8>) -> Result<Result<First, Vec<u8>>, FirstError> {
    match hello::inspect(&bytes) {
        Hello::Complete(name) => return Ok(Ok(First::Tls(name, bytes))),
        Hello::Incomplete => return Ok(Err(bytes)),
        Hello::Malformed => {
            return Err(FirstError::Malformed("the TLS handshake is malformed or ambiguous".to_owned(), None));
        }
        Hello::NotTls => {}
    }
    match head::read(&bytes) {
        Reading::Complete(head, end) => {
            bytes.drain(..end.min(bytes.len()));
            Ok(Ok(First::Http(head, bytes)))
        }
        Reading::Incomplete => Ok(Err(bytes)),
        Reading::Malformed(error) => {
            let reason = format!("the HTTP request is malformed or ambiguous: {error}");
            let reply = Reply::bad_request(&reason);
            Err(FirstError::Malformed(reason, Some(reply)))
        }
        Reading::NotHttp | Reading::Http2 => Ok(Ok(First::Opaque(bytes))),
    }
}

/// Appends what the client sends next; `false` at its end. The buffer lives only while there is something to read.
async fn more(client: &TcpStream, bytes: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        client.readable().await?;
        let length = bytes.len();
        bytes.resize(length + READ_BYTES, 0);
        let read = client.try_read(bytes.get_mut(length..).unwrap_or_default());
        bytes.truncate(length + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(read) => return Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// TLS must name the host it was admitted for. Without a name there is nothing to compare, so it must not matter which
/// host is meant: the connection is to an address, or to the one address that the rule names.
pub(crate) fn check_tls(named: Option<&Host>, admitted: &Host, pinned: bool) -> Result<(), String> {
    match (named, admitted) {
        (Some(named), admitted) if named == admitted => Ok(()),
        (Some(named), _) => Err(format!("TLS names `{named}`, the connection was admitted for `{admitted}`")),
        (None, Host::Literal(_)) => Ok(()),
        (None, Host::Name(_)) if pinned => Ok(()),
        (None, Host::Name(_)) => {
            Err(format!("TLS names no host, the connection was admitted for `{admitted}`; use a client that sends SNI"))
        }
    }
}

/// A request must be meant for the host and port it was admitted for.
pub(crate) fn check_request(head: &Head, admitted: &Host, port: u16) -> Result<(), String> {
    if matches!(head.target, Target::Authority { .. }) {
        return Err("`CONNECT` belongs to the proxy at 127.0.0.1:3128".to_owned());
    }
    if &head.host != admitted || head.port.is_some_and(|other| other != port) {
        return Err(format!("`Host` is `{}`, the connection was admitted for `{admitted}`", head.host));
    }
    match &head.target {
        Target::Absolute { host, port: other, .. } if host != admitted || *other != port => {
            Err(format!("the URL's host is `{host}`, the connection was admitted for `{admitted}`"))
        }
        _ => Ok(()),
    }
}
