//! The relay: one thread between the user's terminal and the program's, with the panel in between.
//!
//! A thread and `poll`, rather than tasks: the user's terminal is shared with the shell that started us, so it can't
//! be made non-blocking, and a write to it may take as long as the person holds the scroll bar.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use super::commands::{Command, Commands, Status};
use super::keys::{self, Key};
use super::panel::{Panel, Timing};
use super::prompt::{PromptAnswer, Question};
use super::raw::RawMode;
use super::screen::{Cover, Screen};

/// A pseudo-terminal gives at most a page at a time.
const READ_BYTES: usize = 16 * 1024;

/// Written at once when the terminal has room for some: small enough that a slow line doesn't delay Ctrl-C.
const WRITE_BYTES: usize = 4 * 1024;

/// Beyond this much unsent data nothing more is read, so that the other side waits instead of us growing.
const PENDING_BYTES_MAX: usize = 64 * 1024;

/// How long an unfinished escape sequence of the program may hold up a question.
const BOUNDARY_WAIT: Duration = Duration::from_millis(200);

/// A program that closed its terminal may open it again; until then the descriptor is looked at this often.
const HANG_UP_LOOK: Duration = Duration::from_millis(20);

/// After the program's exit: this long without output means there is no more.
const QUIET: Duration = Duration::from_millis(100);

/// After the program's exit: what is still written then is lost, as from any process that outlives its terminal.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A terminal that takes nothing for this long is left as it is.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// More questions at once than a person could answer; the rest are cancelled, which denies.
const QUESTIONS_MAX: usize = 64;

/// What a relay is made of.
pub(super) struct Parts {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    pub(super) program: OwnedFd,
    pub(super) commands: Arc<Commands>,
    pub(super) receiver: mpsc::Receiver<Command>,
    pub(super) screen: Screen,
    pub(super) status: Arc<Status>,
    pub(super) raw: Arc<RawMode>,
    pub(super) output_bytes_max: Option<u64>,
    pub(super) color: bool,
    /// The terminal can't be drawn on: questions are lines.
    pub(super) is_plain: bool,
    pub(super) timing: Timing,
    /// Stops this process until SIGCONT.
    pub(super) stop: fn(),
}

pub(super) struct Relay {
    parts: Parts,
    to_program: Vec<u8>,
    to_user: Vec<u8>,
    /// Output read after the point where a question cut in.
    held: Vec<u8>,
    waiting: VecDeque<Box<Question>>,
    up: Option<Up>,
    boundary_by: Option<Instant>,
    hung_up_until: Option<Instant>,
    input_closed: bool,
    output_closed: bool,
    ending: Option<Ending>,
    /// The terminal is the shell's until SIGCONT.
    suspended: bool,
}

/// The question on the screen.
struct Up {
    question: Box<Question>,
    panel: Panel,
    cover: Cover,
}

struct Ending {
    quiet_at: Instant,
    latest: Instant,
    hung_up: bool,
}

impl Relay {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            to_program: Vec::new(),
            to_user: Vec::new(),
            held: Vec::new(),
            waiting: VecDeque::new(),
            up: None,
            boundary_by: None,
            hung_up_until: None,
            input_closed: false,
            output_closed: false,
            ending: None,
            suspended: false,
        }
    }

    /// Relays until told to stop, then hands the terminal back.
    pub(super) fn run(mut self) {
        while self.turn() {}
        self.cancel_questions();
        let back = self.parts.screen.hand_back();
        self.to_user.extend_from_slice(&back);
        self.flush();
        self.parts.raw.leave();
        self.parts.status.stopped.send_replace(true);
    }

    /// One round; says whether there is to be another.
    fn turn(&mut self) -> bool {
        while let Ok(command) = self.parts.receiver.try_recv() {
            if !self.obey(command) {
                return false;
            }
        }
        if self.suspended {
            return self.wait_for_command();
        }
        let now = Instant::now();
        self.move_questions(now);
        if self.up.is_none() && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.forward(&held);
        }
        if let Some(ending) = &self.ending {
            let drained = (ending.hung_up || now >= ending.quiet_at) && self.to_user.is_empty();
            if drained || now >= ending.latest {
                return false;
            }
        }
        self.wait(now)
    }

    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Ask(question) if self.ending.is_some() || self.waiting.len() >= QUESTIONS_MAX => {
                _ = question.answer.send(PromptAnswer::Cancelled);
            }
            Command::Ask(question) => {
                self.waiting.push_back(question);
                self.draw();
            }
            Command::Withdraw(id) => {
                self.waiting.retain(|question| question.id != id);
                if self.up.as_ref().is_some_and(|up| up.question.id == id) {
                    self.take_down(PromptAnswer::Cancelled);
                }
            }
            Command::Resize => self.resize(),
            Command::Suspend => self.suspend(),
            Command::Continue => self.resume(),
            Command::Terminate => {
                self.cancel_questions();
                self.flush();
                self.parts.raw.leave();
                self.parts.status.terminated.send_replace(true);
            }
            Command::Finish => {
                if self.suspended {
                    self.resume();
                }
                self.cancel_questions();
                let now = Instant::now();
                self.ending = Some(Ending { quiet_at: now + QUIET, latest: now + DRAIN_MAX, hung_up: false });
                self.hung_up_until = None;
            }
            Command::Abort => return false,
        }
        true
    }

    /// Waits for something to happen, and does it.
    fn wait(&mut self, now: Instant) -> bool {
        let reads_program = self.up.is_none()
            && self.held.is_empty()
            && self.to_user.len() < PENDING_BYTES_MAX
            && (!self.limit_is_passed() || self.ending.is_some())
            && self.hung_up_until.is_none_or(|until| now >= until);
        let reads_user = !self.input_closed && self.to_program.len() < PENDING_BYTES_MAX;
        let flag = |wanted: bool, flag: PollFlags| if wanted { flag } else { PollFlags::empty() };
        let program_flags = flag(reads_program, PollFlags::IN) | flag(!self.to_program.is_empty(), PollFlags::OUT);

        let mut ready = [PollFlags::empty(); 4];
        {
            let mut descriptors = Vec::with_capacity(4);
            descriptors.push((0, PollFd::new(&self.parts.commands.wake, PollFlags::IN)));
            if reads_user {
                descriptors.push((1, PollFd::new(&self.parts.input, PollFlags::IN)));
            }
            // A hung-up descriptor reports that whatever it is asked, so it is asked only when its answer is used.
            if !program_flags.is_empty() && self.hung_up_until.is_none_or(|until| now >= until) {
                descriptors.push((2, PollFd::new(&self.parts.program, program_flags)));
            }
            if !self.to_user.is_empty() && !self.output_closed {
                descriptors.push((3, PollFd::new(&self.parts.output, PollFlags::OUT)));
            }
            let (places, mut descriptors): (Vec<usize>, Vec<PollFd<'_>>) = descriptors.into_iter().unzip();
            let timeout = self.next_look(now).saturating_duration_since(now);
            let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
            match poll(&mut descriptors, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return false,
            }
            for (place, descriptor) in places.into_iter().zip(&descriptors) {
                if let Some(flags) = ready.get_mut(place) {
                    *flags = descriptor.revents();
                }
            }
        }
        let [wake, input, program, output] = ready;
        let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        if wake.intersects(readable) {
            let mut count = [0; 8];
            _ = rustix::io::read(&self.parts.commands.wake, &mut count);
        }
        if input.intersects(readable) {
            self.read_user();
        }
        if program.contains(PollFlags::OUT) {
            self.write_program();
        }
        if reads_program && program.intersects(readable) {
            self.read_program();
        }
        if output.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR) {
            self.write_user();
        }
        true
    }

    fn next_look(&self, now: Instant) -> Instant {
        // Nothing waits longer than this without being told by a descriptor.
        let mut next = now + Duration::from_secs(60);
        if let Some(up) = &self.up {
            next = next.min(up.panel.next_look());
        }
        if let Some(first) = self.waiting.front() {
            next = next.min(first.deadline);
        }
        if let Some(ending) = &self.ending {
            next = next.min(ending.quiet_at).min(ending.latest);
        }
        let timers = [self.boundary_by, self.hung_up_until.filter(|until| *until > now)];
        timers.into_iter().flatten().fold(next, Instant::min)
    }

    fn read_user(&mut self) {
        let mut buffer = [0; READ_BYTES];
        match rustix::io::read(&self.parts.input, &mut buffer) {
            Ok(0) => self.close_input(),
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                if self.up.is_some() {
                    self.press(bytes)
                } else {
                    self.to_program.extend_from_slice(bytes)
                }
                self.write_program();
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.close_input(),
        }
    }

    /// The terminal is gone: there is nobody to ask and nobody to show anything to.
    fn close_input(&mut self) {
        self.input_closed = true;
        self.cancel_questions();
        self.parts.status.terminated.send_replace(true);
    }

    fn press(&mut self, bytes: &[u8]) {
        let mut pressed = Vec::new();
        for key in keys::decode(bytes) {
            match key {
                Key::Reply(reply) => self.to_program.extend_from_slice(&reply),
                key => pressed.push(key),
            }
        }
        if let Some(up) = &mut self.up
            && !pressed.is_empty()
        {
            up.panel.press(&pressed, Instant::now());
            self.draw();
        }
    }

    fn write_program(&mut self) {
        if self.to_program.is_empty() {
            return;
        }
        match rustix::io::write(&self.parts.program, &self.to_program) {
            Ok(written) => drop(self.to_program.drain(..written.min(self.to_program.len()))),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody reads there any more.
            Err(_) => self.to_program.clear(),
        }
    }

    fn read_program(&mut self) {
        let mut buffer = [0; READ_BYTES];
        match rustix::io::read(&self.parts.program, &mut buffer) {
            Ok(length) if length > 0 => {
                self.hung_up_until = None;
                if let Some(ending) = &mut self.ending {
                    ending.quiet_at = Instant::now() + QUIET;
                }
                self.count_and_forward(buffer.get(..length).unwrap_or_default());
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => {
                self.hung_up_until = Some(Instant::now() + HANG_UP_LOOK);
                if let Some(ending) = &mut self.ending {
                    ending.hung_up = true;
                }
            }
        }
    }

    /// Forwards what the limit allows. What is beyond it isn't shown, and the program waits until it is ended.
    fn count_and_forward(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        let before = self.parts.status.output_bytes.fetch_add(length, Ordering::Relaxed);
        let allowed = self.parts.output_bytes_max.map_or(length, |limit| limit.saturating_sub(before).min(length));
        if allowed < length {
            self.parts.status.limit_passed.send_replace(true);
        }
        let allowed = usize::try_from(allowed).unwrap_or(bytes.len());
        self.forward(bytes.get(..allowed).unwrap_or(bytes));
    }

    fn limit_is_passed(&self) -> bool {
        *self.parts.status.limit_passed.borrow()
    }

    fn forward(&mut self, bytes: &[u8]) {
        let shown = if self.waiting.is_empty() {
            self.parts.screen.feed(bytes);
            bytes.len()
        } else {
            self.parts.screen.feed_to_boundary(bytes)
        };
        let (shown, held) = bytes.split_at_checked(shown).unwrap_or((bytes, &[]));
        if !self.output_closed {
            self.to_user.extend_from_slice(shown);
        }
        self.held.extend_from_slice(held);
    }

    fn write_user(&mut self) {
        let piece = self.to_user.get(..WRITE_BYTES).unwrap_or(&self.to_user);
        match rustix::io::write(&self.parts.output, piece) {
            Ok(written) => drop(self.to_user.drain(..written.min(self.to_user.len()))),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.output_closed = true;
                self.to_user.clear();
                self.close_input();
            }
        }
    }

    /// Writes what is pending, as far as the terminal takes it in time.
    fn flush(&mut self) {
        let latest = Instant::now() + FLUSH_MAX;
        while !self.to_user.is_empty() && !self.output_closed {
            let left = latest.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
            let mut descriptors = [PollFd::new(&self.parts.output, PollFlags::OUT)];
            match poll(&mut descriptors, Some(&timeout)) {
                Ok(0) => return,
                Ok(_) => self.write_user(),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Takes down the question that has its answer, and puts up the next one.
    fn move_questions(&mut self, now: Instant) {
        if let Some(up) = &self.up {
            match up.panel.answer(now) {
                Some(answer) => self.take_down(answer),
                None if up.panel.is_due(now) => self.draw(),
                None => {}
            }
        }
        while let Some(question) =
            self.waiting.pop_front_if(|question| question.deadline <= now || question.answer.is_closed())
        {
            _ = question.answer.send(PromptAnswer::TimedOut);
        }
        if self.waiting.is_empty() {
            self.boundary_by = None;
        } else if self.up.is_none() {
            let boundary_by = *self.boundary_by.get_or_insert(now + BOUNDARY_WAIT);
            if self.parts.screen.is_between() || now >= boundary_by {
                self.put_up(now);
            }
        }
    }

    fn put_up(&mut self, now: Instant) {
        self.boundary_by = None;
        // What was typed until now was typed for the program.
        let mut typed = [PollFd::new(&self.parts.input, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !self.input_closed && poll(&mut typed, Some(&at_once)).is_ok_and(|ready| ready > 0) {
            self.read_user();
        }
        let Some(question) = self.waiting.pop_front() else { return };
        let cover = self.parts.screen.cover();
        let panel = Panel::new(question.view.clone(), question.deadline, self.parts.timing, self.parts.color, now);
        if !self.parts.is_plain {
            self.to_user.extend_from_slice(&self.parts.screen.begin_panel(cover));
        }
        self.up = Some(Up { question, panel, cover });
        if self.parts.is_plain {
            let (_, columns) = self.parts.screen.size();
            if let Some(up) = &mut self.up {
                self.to_user.extend_from_slice(&up.panel.write_plainly(columns));
            }
        } else {
            self.draw();
        }
    }

    fn draw(&mut self) {
        let (rows, columns) = self.parts.screen.size();
        if let Some(up) = &mut self.up {
            let bytes = up.panel.draw(rows, columns, self.waiting.len(), Instant::now());
            // A terminal that takes nothing needs no newer picture.
            if !self.parts.is_plain && self.to_user.len() < PENDING_BYTES_MAX {
                self.to_user.extend_from_slice(&bytes);
            }
        }
    }

    fn take_down(&mut self, answer: PromptAnswer) {
        let Some(up) = self.up.take() else { return };
        if !self.parts.is_plain {
            self.to_user.extend_from_slice(&self.parts.screen.end_panel(up.cover));
        }
        _ = up.question.answer.send(answer);
    }

    fn cancel_questions(&mut self) {
        self.take_down(PromptAnswer::Cancelled);
        for question in self.waiting.drain(..) {
            _ = question.answer.send(PromptAnswer::Cancelled);
        }
        self.boundary_by = None;
    }

    fn resize(&mut self) {
        if let Ok(size) = tcgetwinsize(&self.parts.output) {
            // The program gets SIGWINCH from this.
            _ = tcsetwinsize(&self.parts.program, size);
            self.parts.screen.resize(size);
        }
        self.draw();
    }

    /// Gives the terminal back and stops the process. Stopping takes effect at any time after it was asked for, so
    /// nothing is touched until SIGCONT tells that it is over.
    fn suspend(&mut self) {
        if std::mem::replace(&mut self.suspended, true) {
            return;
        }
        if let Some(up) = &self.up
            && !self.parts.is_plain
        {
            let bytes = self.parts.screen.end_panel(up.cover);
            self.to_user.extend_from_slice(&bytes);
        }
        let back = self.parts.screen.hand_back();
        self.to_user.extend_from_slice(&back);
        self.flush();
        self.parts.raw.leave();
        (self.parts.stop)();
    }

    /// Takes the terminal again: after our own stop, or after one that couldn't be caught, when someone else may have
    /// written on the screen.
    fn resume(&mut self) {
        _ = self.parts.raw.enter();
        let was_suspended = std::mem::take(&mut self.suspended);
        if self.parts.is_plain {
            return self.resize();
        }
        let mut bytes = Vec::new();
        if was_suspended {
            bytes = self.parts.screen.take_again();
            if let Some(up) = &self.up {
                bytes.extend_from_slice(&self.parts.screen.begin_panel(up.cover));
            }
        } else if self.up.is_none() && self.parts.screen.cover() == Cover::Over {
            bytes = self.parts.screen.end_panel(Cover::Over);
        }
        self.to_user.extend_from_slice(&bytes);
        self.resize();
    }

    fn wait_for_command(&self) -> bool {
        let mut descriptors = [PollFd::new(&self.parts.commands.wake, PollFlags::IN)];
        match poll(&mut descriptors, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        let mut count = [0; 8];
        _ = rustix::io::read(&self.parts.commands.wake, &mut count);
        true
    }
}
