//! A pseudo-terminal with a program in it: keys in, a screen out.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::DEADLINE;

/// Raw bytes kept for assertions about control sequences.
const RAW_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A program under a pseudo-terminal; killed by pid when dropped.
#[derive(Debug)]
pub struct Terminal {
    controller: File,
    child: Child,
    state: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    parser: vt100::Parser,
    raw: Vec<u8>,
    closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parser.screen().contents())
    }
}

impl Terminal {
    pub(crate) fn spawn(mut command: Command, rows: u16, columns: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        tcsetwinsize(&controller, window(rows, columns)).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let side = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        // As a login does: the terminal belongs to everyone who can hold it open anyway, so that a program run
        // as another user may open it again by name.
        rustix::fs::fchmod(&side, Mode::from_raw_mode(0o622 | 0o044)).unwrap();
        let child = start(&mut command, &side);
        drop(side);
        let state = Arc::new((
            Mutex::new(State {
                parser: vt100::Parser::new(rows_of(rows), rows_of(columns), 1000),
                raw: Vec::new(),
                closed: false,
            }),
            Condvar::new(),
        ));
        let controller = File::from(controller);
        let reader = controller.try_clone().unwrap();
        let shared = Arc::clone(&state);
        thread::spawn(move || read_into(reader, &shared));
        Self { controller, child, state }
    }

    /// The process id of the program.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Type these keys; `\r` is Enter, `\x03` Ctrl-C, `\x1a` Ctrl-Z.
    pub fn write(&self, keys: &str) {
        (&self.controller).write_all(keys.as_bytes()).unwrap();
    }

    /// What the screen shows.
    pub fn screen(&self) -> String {
        self.state.0.lock().unwrap().parser.screen().contents()
    }

    /// Everything the program wrote, control sequences included.
    pub fn raw(&self) -> Vec<u8> {
        self.state.0.lock().unwrap().raw.clone()
    }

    /// Whether the terminal echoes keys and turns Ctrl-C into a signal, as a shell expects to find it.
    pub fn shows_keys(&self) -> bool {
        let modes = tcgetattr(self.controller.as_fd()).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON)
    }

    /// Change the window's size; the program gets SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.state.0.lock().unwrap().parser.screen_mut().set_size(rows_of(rows), rows_of(columns));
        tcsetwinsize(self.controller.as_fd(), window(rows, columns)).unwrap();
    }

    /// Wait until the screen satisfies `condition`; panics with the screen after [`DEADLINE`].
    pub fn wait_for(&self, what: &str, condition: impl Fn(&vt100::Screen) -> bool) {
        let started = Instant::now();
        let (state, changed) = &*self.state;
        let mut state = state.lock().unwrap();
        while !condition(state.parser.screen()) {
            assert!(
                !state.closed && started.elapsed() < DEADLINE,
                "{} before the screen showed {what}:\n{}",
                if state.closed { "the program ended" } else { "time ran out" },
                state.parser.screen().contents()
            );
            state = changed.wait_timeout(state, Duration::from_millis(100)).unwrap().0;
        }
    }

    /// Wait until the screen shows `text`.
    pub fn wait_for_text(&self, text: &str) {
        self.wait_for(&format!("`{text}`"), |screen| screen.contents().contains(text));
    }

    /// Wait for the program to end; panics with the screen after [`DEADLINE`].
    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the program didn't end:\n{}", self.screen());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn start(command: &mut Command, side: &OwnedFd) -> Child {
    command.stdin(side.try_clone().unwrap()).stdout(side.try_clone().unwrap()).stderr(side.try_clone().unwrap());
    #[allow(unsafe_code, reason = "a session and a controlling terminal between fork and exec")]
    // SAFETY: both calls are single system calls, async-signal-safe, and touch no memory of the parent;
    // descriptor 0 is the terminal's side, which outlives the closure.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(BorrowedFd::borrow_raw(libc::STDIN_FILENO))?;
            Ok(())
        });
    }
    command.spawn().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"))
}

fn read_into(mut controller: File, shared: &(Mutex<State>, Condvar)) {
    let mut buffer = [0; 8192];
    // Linux answers EIO when the last holder of the other side is gone.
    while let Ok(count @ 1..) = controller.read(&mut buffer) {
        let mut state = shared.0.lock().unwrap();
        state.parser.process(&buffer[..count]);
        let room = RAW_BYTES_MAX - state.raw.len();
        state.raw.extend_from_slice(&buffer[..count.min(room)]);
        shared.1.notify_all();
    }
    shared.0.lock().unwrap().closed = true;
    shared.1.notify_all();
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn rows_of(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has at least one row and column")
}
