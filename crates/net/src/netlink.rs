//! Netlink by hand: messages are built byte by byte, sent over a socket somebody else opened, and every
//! acknowledgement is read. A library would want to open its own socket; ours come out of the box.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// Request flags, see `linux/netlink.h`.
pub(crate) const REQUEST: u16 = 0x01;
pub(crate) const ACK: u16 = 0x04;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const EXCLUSIVE: u16 = 0x200;
pub(crate) const APPEND: u16 = 0x800;
/// Marks an attribute that holds attributes.
const NESTED: u16 = 0x8000;
const ATTRIBUTE_TYPE_MASK: u16 = 0x3fff;

const MESSAGE_ERROR: u16 = 2;
const MESSAGE_DONE: u16 = 3;
const HEADER_BYTES: usize = 16;
/// One datagram from the kernel: dumps come in pieces of at most 32 KiB.
const DATAGRAM_BYTES_MAX: usize = 64 * 1024;
/// More datagrams than any answer we ask for; a bound against waiting for ever.
const DATAGRAMS_MAX: usize = 256;

/// Why the kernel did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetlinkError {
    /// The socket failed.
    #[error("the netlink socket failed")]
    Socket(#[source] std::io::Error),
    /// The kernel said no.
    #[error("the kernel refused message {message} of the batch")]
    Refused {
        /// Which message, from 1.
        message: u32,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// The kernel did not answer, or not in the form it promises.
    #[error("the kernel's answer is missing or malformed")]
    Answer,
}

/// One or more messages under construction.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
    acknowledged: Vec<u32>,
}

impl Batch {
    /// Appends a message; `fill` writes what follows the header.
    pub(crate) fn message(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Body<'_>)) {
        self.sequence += 1;
        if flags & ACK != 0 {
            self.acknowledged.push(self.sequence);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&self.sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        fill(&mut Body { bytes: &mut self.bytes });
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(field) = self.bytes.get_mut(start..start + 4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        pad(&mut self.bytes);
    }

    /// Sends everything and reads an acknowledgement for each message that asked for one.
    pub(crate) fn execute(self, socket: &OwnedFd) -> Result<(), NetlinkError> {
        let mut waiting = self.acknowledged.clone();
        self.transmit(socket)?;
        receive(socket, |message| {
            if message.kind == MESSAGE_ERROR {
                check_error(message)?;
                waiting.retain(|sequence| *sequence != message.sequence);
            }
            Ok(!waiting.is_empty())
        })
    }

    /// Sends a request and hands each answering message to `each`, until the dump's end or, without a dump, the first.
    pub(crate) fn query(
        self,
        socket: &OwnedFd,
        dump: bool,
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<(), NetlinkError> {
        let expected = self.sequence;
        self.transmit(socket)?;
        receive(socket, |message| {
            // An answer to an earlier request that was given up on is none to this one.
            if message.sequence != expected {
                return Ok(true);
            }
            match message.kind {
                MESSAGE_DONE => Ok(false),
                MESSAGE_ERROR => check_error(message).map(|()| false),
                _ => {
                    each(message);
                    Ok(dump)
                }
            }
        })
    }

    /// Numbers messages from here on, so that answers to earlier requests can be told apart.
    pub(crate) fn starting_at(sequence: u32) -> Self {
        Self { sequence, ..Self::default() }
    }

    fn transmit(&self, socket: &OwnedFd) -> Result<(), NetlinkError> {
        let sent = send(socket.as_fd(), &self.bytes, SendFlags::empty()).map_err(socket_error)?;
        if sent == self.bytes.len() { Ok(()) } else { Err(NetlinkError::Answer) }
    }
}

/// What follows a message's header.
pub(crate) struct Body<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Body<'_> {
    /// Raw bytes: a fixed structure in front of the attributes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// One attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        pad(self.bytes);
    }

    /// A string attribute, zero-terminated as nf_tables wants it.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes);
    }

    /// A number in network order, as nf_tables wants it.
    pub(crate) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// An attribute that holds attributes.
    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Body<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        fill(&mut Body { bytes: self.bytes });
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        if let Some(field) = self.bytes.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }
}

/// One message from the kernel.
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// The attributes in these bytes.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & ATTRIBUTE_TYPE_MASK;
        let value = rest.get(4..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A number of the machine's byte order at this offset.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..offset + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..offset + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(aligned(bytes.len()), 0);
}

fn socket_error(error: Errno) -> NetlinkError {
    NetlinkError::Socket(error.into())
}

/// Reads until `more` says that nothing more is wanted. The kernel answers while it takes the request, so
/// there is never anything to wait for: an empty socket means that it did not answer.
fn receive(
    socket: &OwnedFd,
    mut more: impl FnMut(&Message<'_>) -> Result<bool, NetlinkError>,
) -> Result<(), NetlinkError> {
    let mut buffer = Vec::with_capacity(DATAGRAM_BYTES_MAX);
    for _ in 0..DATAGRAMS_MAX {
        buffer.clear();
        match recv(socket.as_fd(), rustix::buffer::spare_capacity(&mut buffer), RecvFlags::DONTWAIT) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return Err(NetlinkError::Answer),
            Err(error) => return Err(socket_error(error)),
        }
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let total = u32_at(rest, 0).and_then(|total| usize::try_from(total).ok()).ok_or(NetlinkError::Answer)?;
            let message = Message {
                kind: u16_at(rest, 4).ok_or(NetlinkError::Answer)?,
                sequence: u32_at(rest, 8).ok_or(NetlinkError::Answer)?,
                payload: rest.get(HEADER_BYTES..total).ok_or(NetlinkError::Answer)?,
            };
            if !more(&message)? {
                return Ok(());
            }
            rest = rest.get(aligned(total)..).unwrap_or_default();
        }
    }
    Err(NetlinkError::Answer)
}

fn check_error(message: &Message<'_>) -> Result<(), NetlinkError> {
    match u32_at(message.payload, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(code) => Err(NetlinkError::Refused {
            message: message.sequence,
            source: std::io::Error::from_raw_os_error(code.saturating_neg()),
        }),
        None => Err(NetlinkError::Answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_round_trip_and_survive_garbage() {
        let mut bytes = Vec::new();
        let mut body = Body { bytes: &mut bytes };
        body.text(1, "ab");
        body.nested(2, |inner| inner.number(3, 7));
        let found: Vec<_> = attributes(&bytes).collect();
        assert_eq!(found[0], (1, b"ab\0".as_slice()));
        assert_eq!(attributes(found[1].1).next(), Some((3, [0, 0, 0, 7].as_slice())));
        for length in 0..bytes.len() {
            let _ = attributes(&bytes[..length]).count();
        }
        assert_eq!(attributes(&[0, 0, 0, 0, 1]).count(), 0);
    }
}
