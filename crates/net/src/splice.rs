//! Copies one direction of a connection with splice(2): the bytes stay in the kernel. A pipe is held only while bytes
//! are in it, so an idle tunnel costs two sockets and nothing else; when all pipes are busy, a small buffer does.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::traffic::{Direction, Meter};

/// Bytes moved at once. The kernel's default limit for all pipes of an ordinary user is 64 MiB; what is beyond it gets
/// small pipes.
const PIPE_BYTES: usize = 1024 * 1024;
/// Pipes in use at once; a transfer beyond these copies through a buffer.
const PIPES_MAX: usize = 128;
/// Empty pipes kept for the next transfer.
const PIPES_KEPT: usize = 16;
/// The buffer of a transfer without a pipe.
const BUFFER_BYTES: usize = 16 * 1024;

/// Why copying ended before the end of the stream.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// A side broke off.
    Broken(io::Error),
    /// The run's budget is used up.
    Budget,
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Copies until the source ends, or until so many bytes have passed.
pub(crate) async fn copy(
    from: &TcpStream,
    to: &TcpStream,
    meter: &Meter<'_>,
    direction: Direction,
    limit: Option<u64>,
) -> Result<(), CopyError> {
    let mut left = limit.unwrap_or(u64::MAX);
    while left > 0 {
        from.readable().await?;
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let burst = match Pipe::take() {
            Some(pipe) => burst_piped(pipe, from, to, meter, direction, most).await?,
            None => burst_buffered(from, to, meter, direction, most).await?,
        };
        left = left.saturating_sub(u64::try_from(burst.bytes).unwrap_or(u64::MAX));
        if burst.ended {
            return if limit.is_some() && left > 0 {
                Err(CopyError::Broken(io::ErrorKind::UnexpectedEof.into()))
            } else {
                Ok(())
            };
        }
    }
    Ok(())
}

/// Sends bytes that are in memory, under the same meter.
pub(crate) async fn send(
    bytes: &[u8],
    to: &TcpStream,
    meter: &Meter<'_>,
    direction: Direction,
) -> Result<(), CopyError> {
    let granted = meter.grant(direction, bytes.len());
    let mut rest = bytes.get(..granted).unwrap_or_default();
    while !rest.is_empty() {
        to.writable().await?;
        match to.try_write(rest) {
            Ok(written) => {
                meter.moved(direction, written);
                rest = rest.get(written..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    if granted < bytes.len() { Err(CopyError::Budget) } else { Ok(()) }
}

struct Burst {
    bytes: usize,
    ended: bool,
}

/// Moves what is there, until the source has nothing more for now.
async fn burst_piped(
    pipe: Pipe,
    from: &TcpStream,
    to: &TcpStream,
    meter: &Meter<'_>,
    direction: Direction,
    most: usize,
) -> Result<Burst, CopyError> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let mut bytes = 0;
    while bytes < most {
        let want = PIPE_BYTES.min(most - bytes);
        let taken = from.try_io(Interest::READABLE, || Ok(splice(from, None, &pipe.write, None, want, flags)?));
        let taken = match taken {
            Ok(0) => {
                pipe.give_back();
                return Ok(Burst { bytes, ended: true });
            }
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error.into()),
        };
        let granted = meter.grant(direction, taken);
        let mut left = granted;
        while left > 0 {
            to.writable().await?;
            match to.try_io(Interest::WRITABLE, || Ok(splice(&pipe.read, None, to, None, left, flags)?)) {
                Ok(0) => return Err(CopyError::Broken(io::ErrorKind::WriteZero.into())),
                Ok(moved) => {
                    meter.moved(direction, moved);
                    left -= moved;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if granted < taken {
            return Err(CopyError::Budget);
        }
        bytes += taken;
    }
    pipe.give_back();
    Ok(Burst { bytes, ended: false })
}

async fn burst_buffered(
    from: &TcpStream,
    to: &TcpStream,
    meter: &Meter<'_>,
    direction: Direction,
    most: usize,
) -> Result<Burst, CopyError> {
    let mut buffer = vec![0_u8; BUFFER_BYTES.min(most)];
    match from.try_read(&mut buffer) {
        Ok(0) => Ok(Burst { bytes: 0, ended: true }),
        Ok(bytes) => {
            send(buffer.get(..bytes).unwrap_or_default(), to, meter, direction).await?;
            Ok(Burst { bytes, ended: false })
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Burst { bytes: 0, ended: false }),
        Err(error) => Err(error.into()),
    }
}

/// A pipe from the pool. Dropped with bytes in it, it is closed; empty, it goes back with `give_back`.
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    _in_use: InUse,
}

struct InUse;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static KEPT: Mutex<Vec<(OwnedFd, OwnedFd)>> = Mutex::new(Vec::new());

impl Pipe {
    fn take() -> Option<Self> {
        if IN_USE.fetch_add(1, Ordering::AcqRel) >= PIPES_MAX {
            drop(InUse);
            return None;
        }
        let in_use = InUse;
        let kept = crate::lock(&KEPT).pop();
        let (read, write) = match kept {
            Some(pipe) => pipe,
            None => {
                let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
                // A smaller pipe works too; an ordinary user may be out of the larger ones.
                let _ = fcntl_setpipe_size(&pipe.1, PIPE_BYTES);
                pipe
            }
        };
        Some(Self { read, write, _in_use: in_use })
    }

    fn give_back(self) {
        let mut kept = crate::lock(&KEPT);
        if kept.len() < PIPES_KEPT {
            kept.push((self.read, self.write));
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::AcqRel);
    }
}
