//! The terminal between two real pseudo-terminals: a person with a screen on one side, a program on the other.

mod approval;
mod line;
mod relaying;
mod restoring;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize};

use super::commands::Command;
use super::*;

/// Far more than anything here takes; reaching it means that it won't happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keys count at once.
const PROMPT: Timing = Timing { guard: Duration::ZERO, settle: Duration::ZERO };

/// Keys never count.
const NEVER: Duration = Duration::from_secs(3600);

fn pseudo_terminal(rows: u16, columns: u16) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    tcsetwinsize(&slave, window(rows, columns)).unwrap();
    rustix::io::ioctl_fionbio(&master, true).unwrap();
    (master, slave)
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn options(timing: Timing) -> Options {
    Options { output_bytes_max: None, color: true, timing }
}

/// A person at a terminal, and the program's side of it.
struct Desk {
    terminal: Option<Terminal>,
    prompter: Prompter,
    program: File,
    user: File,
    /// The user's terminal, to look at its settings.
    device: OwnedFd,
    seen: vt100::Parser,
    /// Every byte the user's terminal got.
    bytes: Vec<u8>,
}

impl Desk {
    fn new(options: Options) -> Self {
        Self::with(options, Ability::Full, || {})
    }

    fn with(options: Options, ability: Ability, stop: fn()) -> Self {
        let (user, device) = pseudo_terminal(24, 80);
        let (input, output) = (device.try_clone().unwrap(), device.try_clone().unwrap());
        let (master, program) = pseudo_terminal(1, 1);
        let terminal = Terminal::over(input, output, master, options, ability, stop).unwrap();
        let program = File::from(program);
        Self {
            prompter: terminal.prompter(),
            terminal: Some(terminal),
            program,
            user: File::from(user),
            device,
            seen: vt100::Parser::default(),
            bytes: Vec::new(),
        }
    }

    fn terminal(&self) -> &Terminal {
        self.terminal.as_ref().unwrap()
    }

    /// The program writes.
    fn write(&mut self, text: &str) {
        self.program.write_all(text.as_bytes()).unwrap();
    }

    /// The person types.
    fn type_keys(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    fn look(&mut self) {
        let mut buffer = [0; 8192];
        while let Ok(length) = self.user.read(&mut buffer) {
            if length == 0 {
                return;
            }
            self.seen.process(&buffer[..length]);
            self.bytes.extend_from_slice(&buffer[..length]);
        }
    }

    fn contents(&mut self) -> String {
        self.look();
        self.seen.screen().contents()
    }

    /// All that can be seen and felt of the screen.
    fn picture(&mut self) -> Picture {
        self.look();
        picture(self.seen.screen())
    }

    async fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "never: {what}; the screen shows:\n{}", self.contents());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_shown(&mut self, text: &str) {
        self.until(text, |desk| desk.contents().contains(text)).await;
    }

    async fn until_picture(&mut self, expected: &Picture) {
        let deadline = Instant::now() + PATIENCE;
        while self.picture() != *expected && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(self.picture(), *expected);
    }

    /// Returns when the relay has taken in everything typed so far: the terminal's answers pass to the program.
    async fn until_typed(&mut self) {
        const REPLY: &[u8] = b"\x1b[7;7R";
        raw(&self.program);
        self.user.write_all(REPLY).unwrap();
        let program = self.program.try_clone().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = [0; REPLY.len()];
            (&program).read_exact(&mut buffer).unwrap();
            buffer
        });
        assert_eq!(tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap(), REPLY);
    }

    fn ask(&self, view: PromptView) -> tokio::task::JoinHandle<PromptAnswer> {
        let prompter = self.prompter.clone();
        tokio::spawn(async move { prompter.prompt(view, std::future::pending()).await })
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        self.look();
        tcsetwinsize(&self.user, window(rows, columns)).unwrap();
        self.seen.set_size(rows.try_into().unwrap(), columns.try_into().unwrap());
        self.terminal().commands.send(Command::Resize);
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.device).unwrap().local_modes.contains(LocalModes::ICANON)
    }
}

type Picture = (String, (u16, u16), bool);

fn picture(screen: &vt100::Screen) -> Picture {
    (screen.state_formatted(), screen.cursor_position(), screen.alternate_screen())
}

/// As a program does that reads keys itself.
fn raw(device: &File) {
    let mut settings = tcgetattr(device).unwrap();
    settings.make_raw();
    tcsetattr(device, OptionalActions::Now, &settings).unwrap();
}

fn view() -> PromptView {
    PromptView {
        title: "connect to a new host".to_owned(),
        action: "net.connect".to_owned(),
        target: "https://api.example.com:443".to_owned(),
        principal: "claude as coding_assistant".to_owned(),
        process: "/usr/bin/curl (41)".to_owned(),
        rule: "net.default".to_owned(),
        reason: "no rule names this host".to_owned(),
        risk: "high".to_owned(),
        digest: "sha256:0a1b2c3d".to_owned(),
        details: (0..100).map(|line| format!("\"detail\": {line}\n")).collect(),
        timeout: NEVER,
    }
}

async fn answer(asked: tokio::task::JoinHandle<PromptAnswer>) -> PromptAnswer {
    tokio::time::timeout(PATIENCE, asked).await.unwrap().unwrap()
}
