//! The explicit proxy, for programs that have been told of one: `CONNECT`, and plain HTTP with whole URLs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::context::Context;
use crate::first::{First, FirstError, Patience, listen};
use crate::flow::{self, Arrival, Manner};
use crate::head::Target;
use crate::reply::{Reply, reset};

/// How long a program may take to say what it wants of the proxy.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection to the proxy.
pub(crate) async fn handle(context: Arc<Context>, stream: TcpStream, peer: SocketAddr) {
    let Ok(asked) = stream.local_addr() else { return };
    let first = tokio::select! {
        first = tokio::time::timeout(REQUEST_TIMEOUT, listen(&stream, Vec::new(), Patience::Long)) => first,
        () = context.stopped() => return reset(stream),
    };
    let (head, rest) = match first {
        Ok(Ok(First::Http(head, rest))) => (head, rest),
        Ok(Ok(First::Nothing) | Err(FirstError::Broken(_))) => return,
        Ok(Err(FirstError::Malformed(_, Some(reply)))) => return refuse(&context, stream, reply).await,
        Ok(Ok(First::Tls(..) | First::Opaque(_) | First::Unclear(_)) | Err(FirstError::Malformed(_, None))) => {
            let reply = Reply::bad_request("this is an HTTP proxy; it takes CONNECT and http URLs");
            return refuse(&context, stream, reply).await;
        }
        Err(_) => return refuse(&context, stream, Reply::timeout()).await,
    };
    let (host, port) = match &head.target {
        Target::Authority { host, port } | Target::Absolute { host, port, .. } => (host.clone(), *port),
        Target::Origin { .. } => {
            let reply = Reply::bad_request("this is a proxy; it takes CONNECT and whole http URLs");
            return refuse(&context, stream, reply).await;
        }
    };
    if head.host != host || head.port.is_some_and(|other| other != port) {
        let reason = format!("`Host` is `{}`, the target is `{host}`", head.host);
        return refuse(&context, stream, Reply::bad_request(&reason)).await;
    }
    let manner = match head.target {
        Target::Authority { .. } => Manner::Tunnel(rest),
        _ => Manner::Request(head, rest),
    };
    flow::handle(&context, Arrival { stream, own: peer, asked, manner }, host, port).await;
}

/// What never became an action is counted, and the first of it noted.
async fn refuse(context: &Context, stream: TcpStream, reply: Reply) {
    if context.tally.count("proxy_requests_malformed") == 1 {
        let message = "a request to the proxy was malformed or ambiguous; more are only counted";
        context.note("net.refused", message).await;
    }
    reply.send(stream).await;
}
