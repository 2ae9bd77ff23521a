//! The client's side of running boxes: finds them in the home's `run` directory and talks to their sockets.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bartizan_api::control::{BoxStatus, ControlReply, ControlRequest, LINE_BYTES_MAX, PendingApproval};
use bartizan_ledger::{Index, Query};
use bartizan_model::RunId;

use crate::home::Home;
use crate::output::short;

/// The socket's name within a run's directory.
pub const SOCKET: &str = "control.sock";

/// How long a running box may take to answer; it answers from memory.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Most runs looked at.
const RUNS_MAX: usize = 4096;

/// A run's directory.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// The run's identifier.
    pub run: String,
}

/// The runs that have a directory, oldest first; some may have died.
pub fn runs(home: &Home) -> anyhow::Result<Vec<RunDirectory>> {
    let directory = home.runs();
    let entries = fs::read_dir(&directory).with_context(|| format!("failed to read `{}`", directory.display()))?;
    let mut runs: Vec<RunDirectory> = entries
        .take(RUNS_MAX)
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let run = entry.file_name().into_string().ok()?;
            run.starts_with("run_").then(|| RunDirectory { path: entry.path(), run })
        })
        .collect();
    runs.sort_by(|one, other| one.run.cmp(&other.run));
    Ok(runs)
}

/// A path to the socket short enough for the kernel, whatever the home is called; the directory handle must live on.
pub fn socket_path(directory: &Path) -> io::Result<(fs::File, PathBuf)> {
    let flags = (rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW).bits().cast_signed();
    let handle = fs::OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", handle.as_raw_fd()));
    Ok((handle, path))
}

/// Asks a running box; `None` when nobody lives there any more.
pub fn call(directory: &RunDirectory, request: &ControlRequest) -> anyhow::Result<Option<ControlReply>> {
    let stream = socket_path(&directory.path).and_then(|(handle, path)| {
        let stream = UnixStream::connect(path);
        drop(handle);
        stream
    });
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("failed to reach the box of `{}`", directory.run)),
    };
    let exchange = || -> io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut reply = Vec::new();
        BufReader::new(stream.take(LINE_BYTES_MAX as u64)).read_until(b'\n', &mut reply)?;
        Ok(reply)
    };
    let reply = match exchange() {
        // It ended between hearing us and answering.
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            return Ok(None);
        }
        result => result.with_context(|| format!("the box of `{}` did not answer", directory.run))?,
    };
    if reply.is_empty() {
        return Ok(None);
    }
    let reply = serde_json::from_slice(&reply)
        .with_context(|| format!("the box of `{}` gave no sensible answer", directory.run))?;
    Ok(Some(reply))
}

/// The status of every box that lives.
pub fn boxes(home: &Home) -> anyhow::Result<Vec<(RunDirectory, BoxStatus)>> {
    let mut boxes = Vec::new();
    for directory in runs(home)? {
        if let Some(ControlReply::Box(status)) = call(&directory, &ControlRequest::BoxShow)? {
            boxes.push((directory, status));
        }
    }
    Ok(boxes)
}

/// The one living box that a person means: by its run, the end of its run, or its name.
pub fn find_box(home: &Home, named: &str) -> anyhow::Result<(RunDirectory, BoxStatus)> {
    let mut found: Vec<_> = boxes(home)?
        .into_iter()
        .filter(|(_, status)| {
            status.name == named || status.run == named || (named.len() >= 4 && status.run.ends_with(named))
        })
        .collect();
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), more) => bail!("`{named}` is {} running boxes; name one by its run: `bartizan box list`", more + 1),
        (None, _) => bail!("no running box is called `{named}`; `bartizan box list` shows those that run"),
    }
}

/// Every question that waits, with its run.
pub fn approvals(home: &Home) -> anyhow::Result<Vec<(RunDirectory, PendingApproval)>> {
    let mut waiting = Vec::new();
    for directory in runs(home)? {
        if let Some(ControlReply::Approvals { approvals }) = call(&directory, &ControlRequest::ApprovalList)? {
            waiting.extend(approvals.into_iter().map(|approval| (directory.clone(), approval)));
        }
    }
    waiting.sort_by_key(|(_, approval)| approval.asked_at);
    Ok(waiting)
}

/// The run a person means: whole, or the end of it; `last` is the newest.
pub fn find_run(home: &Home, named: &str) -> anyhow::Result<RunId> {
    if let Ok(run) = named.parse() {
        return Ok(run);
    }
    if let Ok((_, status)) = find_box(home, named) {
        return Ok(status.run.parse()?);
    }
    let rows = Index::open(&home.index(), &home.ledger())?.query(&Query { limit: 0, ..Query::default() })?;
    let mut runs = rows.iter().rev().filter_map(|row| row.entry.record.run());
    let found = match named {
        "last" => runs.next(),
        _ if named.len() >= 4 => runs.find(|run| run.as_str().ends_with(&named.to_ascii_uppercase())),
        _ => None,
    };
    match found {
        Some(run) => Ok(run.clone()),
        None => bail!(
            "there is no run `{}` in the ledger; `bartizan log list` shows those there are, `last` is the newest",
            short(named, 60)
        ),
    }
}
