//! What a client is told when its connection or request does not happen: a short plain text where it speaks HTTP,
//! a reset where it doesn't.

use std::time::Duration;

use bartizan_gate::Refusal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::context::Halt;

/// How long a client has to take the reply and close; after that it is reset.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of what the client still sends is read so that the reply isn't lost to a reset.
const FAREWELL_BYTES_MAX: usize = 1024 * 1024;

/// What most replies are.
const PLAIN: &str = "text/plain; charset=utf-8";

/// A reply that ends the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    status: &'static str,
    text: String,
    kind: &'static str,
}

impl Reply {
    /// The request is ambiguous or malformed.
    pub(crate) fn bad_request(reason: &str) -> Self {
        Self { status: "400 Bad Request", text: format!("bartizan: {reason}\n"), kind: PLAIN }
    }

    /// A rule or a check says no; `explain` is the action as `bartizan policy explain` takes it.
    pub(crate) fn forbidden(reason: &str, explain: &str) -> Self {
        let text = format!("bartizan: {reason}\nnext: bartizan policy explain '{explain}'\n");
        Self { status: "403 Forbidden", text, kind: PLAIN }
    }

    /// Why the gate did not admit it.
    pub(crate) fn halted(halt: &Halt, explain: &str) -> Self {
        match halt {
            Halt::Refused(refusal) => Self::forbidden(&reason(refusal), explain),
            Halt::Withdrawn => Self::forbidden("the question to a person was withdrawn", explain),
        }
    }

    /// The other side can't be reached.
    pub(crate) fn bad_gateway(reason: &str) -> Self {
        Self { status: "502 Bad Gateway", text: format!("bartizan: {reason}\n"), kind: PLAIN }
    }

    /// The client took too long.
    pub(crate) fn timeout() -> Self {
        let text = "bartizan: the request did not arrive in time\n".to_owned();
        Self { status: "408 Request Timeout", text, kind: PLAIN }
    }

    /// An answer in the form that a program expects of its own server.
    pub(crate) fn json(status: &'static str, text: String) -> Self {
        Self { status, text, kind: "application/json" }
    }

    /// The request is larger than what can be decided over, or than it may be.
    pub(crate) fn too_large(reason: &str) -> Self {
        Self { status: "413 Content Too Large", text: format!("bartizan: {reason}\n"), kind: PLAIN }
    }

    /// The request's body has a form that can't be decided over.
    pub(crate) fn unsupported(reason: &str) -> Self {
        Self { status: "415 Unsupported Media Type", text: format!("bartizan: {reason}\n"), kind: PLAIN }
    }

    /// There is no room to look at the request.
    pub(crate) fn busy(reason: &str) -> Self {
        Self { status: "503 Service Unavailable", text: format!("bartizan: {reason}\n"), kind: PLAIN }
    }

    /// Its status line.
    pub(crate) fn status(&self) -> &'static str {
        self.status
    }

    /// What it says, for the ledger.
    pub(crate) fn reason(&self) -> String {
        let text = self.text.strip_prefix("bartizan: ").unwrap_or(&self.text);
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Status and text, for protocols that have their own form for them.
    pub(crate) fn parts(&self) -> (u16, &str) {
        let number = self.status.split(' ').next().and_then(|number| number.parse().ok());
        (number.unwrap_or(500), &self.text)
    }

    fn bytes(&self) -> Vec<u8> {
        format!(
            "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
            self.status,
            self.kind,
            self.text.len(),
            self.text
        )
        .into_bytes()
    }

    /// Sends it and closes the connection so that the client gets to read it.
    pub(crate) async fn send(&self, stream: TcpStream) {
        let (mut from, mut to) = tokio::io::split(stream);
        self.deliver(&mut from, &mut to).await;
    }

    /// The same on any stream.
    pub(crate) async fn deliver<R, W>(&self, from: &mut R, to: &mut W)
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let farewell = async {
            to.write_all(&self.bytes()).await?;
            to.shutdown().await?;
            let mut buffer = vec![0_u8; 16 * 1024];
            let mut read = 0;
            while read < FAREWELL_BYTES_MAX {
                match from.read(&mut buffer).await? {
                    0 => break,
                    bytes => read += bytes,
                }
            }
            std::io::Result::Ok(())
        };
        // The client is told as well as can be; if it doesn't listen, that is that.
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, farewell).await;
    }
}

/// The refusal in a sentence, with the rule that made it.
pub(crate) fn reason(refusal: &Refusal) -> String {
    match refusal.rule() {
        Some(rule) => format!("{refusal} (rule `{}`)", rule.rule),
        None => refusal.to_string(),
    }
}

/// Closes the connection so that the client sees at once that nothing came of it.
pub(crate) fn reset(stream: TcpStream) {
    // Without the option it is closed in the ordinary way, which is no more than slower to notice.
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}
