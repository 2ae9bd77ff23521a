//! Connections that nftables turned to us: the destination is recovered, the name comes from the synthetic address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::context::Context;
use crate::flow::{self, Arrival, Manner};
use crate::host::Host;

/// Where the connection was going before it was redirected.
pub(crate) fn original_destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    if stream.local_addr()?.is_ipv4() {
        Ok(rustix::net::sockopt::ip_original_dst(stream)?.into())
    } else {
        Ok(rustix::net::sockopt::ipv6_original_dst(stream)?.into())
    }
}

/// One redirected connection.
pub(crate) async fn handle(context: Arc<Context>, stream: TcpStream, peer: SocketAddr) {
    let asked = match (original_destination(&stream), stream.local_addr()) {
        // The rules let nothing through that wasn't redirected; if something comes all the same, it goes nowhere.
        (Ok(asked), Ok(local)) if asked != local => asked,
        _ => {
            context.tally.count("connections_without_destination");
            return crate::reply::reset(stream);
        }
    };
    let host = match asked.ip() {
        IpAddr::V4(address) => match context.names.name(address) {
            Some(name) => Host::Name(name),
            None => Host::Literal(address.into()),
        },
        IpAddr::V6(address) => Host::Literal(address.into()),
    };
    let arrival = Arrival { stream, own: peer, asked, manner: Manner::Redirected };
    flow::handle(&context, arrival, host, asked.port()).await;
}
