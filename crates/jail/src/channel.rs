//! One message, with descriptors riding along, over a sequenced-packet socket.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::{MESSAGE_BYTES_MAX, decode, encode};

/// Most descriptors in one packet; the kernel's own bound is 253.
pub const DESCRIPTORS_MAX: usize = 64;

/// Sends one packet; never raises SIGPIPE.
///
/// # Errors
/// The system's, `EMSGSIZE` for a message over [`MESSAGE_BYTES_MAX`].
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let bytes = encode(message);
    if bytes.len() > MESSAGE_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
        return Err(Errno::MSGSIZE);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    loop {
        match sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives one packet; `None` when the other side is gone.
///
/// # Errors
/// The system's, `EBADMSG` for a packet that is not one whole message.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            // A reset is told once, when the other side ended with something of ours unread; its own
            // last words still wait behind that.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let cut = ReturnFlags::TRUNC | ReturnFlags::CTRUNC;
    let bytes = bytes.get(..received.bytes).ok_or(Errno::BADMSG)?;
    if received.flags.intersects(cut) {
        return Err(Errno::BADMSG);
    }
    let message = decode(bytes).map_err(|_| Errno::BADMSG)?;
    Ok(Some((message, descriptors)))
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn last_words_are_heard_though_ours_were_not() {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        send(&theirs, &7_u32, &[]).unwrap();
        send(&ours, &1_u32, &[]).unwrap();
        drop(theirs);
        assert_eq!(receive::<u32>(&ours).unwrap().map(|(word, _)| word), Some(7));
        assert!(receive::<u32>(&ours).unwrap().is_none());
    }

    #[test]
    fn descriptors_ride_along_and_other_messages_are_refused() {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        send(&theirs, &"word", &[ours.as_fd(), theirs.as_fd()]).unwrap();
        let (word, descriptors) = receive::<String>(&ours).unwrap().unwrap();
        assert_eq!((word.as_str(), descriptors.len()), ("word", 2));
        send(&theirs, &(1_u64, 2_u64), &[]).unwrap();
        assert_eq!(receive::<u64>(&ours).unwrap_err(), Errno::BADMSG);
    }
}
