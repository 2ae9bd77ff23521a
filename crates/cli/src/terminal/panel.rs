//! The approval panel: what it shows, and which keys answer it.

use std::time::{Duration, Instant};

use bartizan_scan::printable;

use super::keys::Key;
use super::layout::{Line, Style, fit, wrap};
use super::prompt::{PromptAnswer, PromptView};

/// How keys are told from what was typed for the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// The panel takes no key until it has been up, and the keyboard silent, for this long.
    pub(crate) guard: Duration,
    /// An answer counts when no other key follows it for this long: an `a` that begins a word isn't one.
    pub(crate) settle: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { guard: Duration::from_millis(300), settle: Duration::from_millis(200) }
    }
}

/// Too small a window to show what would be approved; only denying works then.
const ROWS_MIN: u16 = 5;
const COLUMNS_MIN: u16 = 20;

/// Details are cut after so many lines, far more than anyone reads at a prompt.
const DETAIL_LINES_MAX: usize = 10_000;

/// How often the countdown moves.
const COUNTDOWN: Duration = Duration::from_secs(1);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Question,
    Period,
    Details,
}

/// One question on the screen.
pub(super) struct Panel {
    view: PromptView,
    deadline: Instant,
    timing: Timing,
    color: bool,
    page: Page,
    scroll: usize,
    /// Until then keys are taken for what was meant for the program.
    deaf_until: Instant,
    /// An answer, and when it counts.
    settling: Option<(PromptAnswer, Instant)>,
    /// The window shows the target.
    is_readable: bool,
    drawn_at: Instant,
}

impl Panel {
    pub(super) fn new(view: PromptView, deadline: Instant, timing: Timing, color: bool, now: Instant) -> Self {
        Self {
            view,
            deadline,
            timing,
            color,
            page: Page::Question,
            scroll: 0,
            deaf_until: now + timing.guard,
            settling: None,
            is_readable: false,
            drawn_at: now,
        }
    }

    /// The answer, once there is one.
    pub(super) fn answer(&self, now: Instant) -> Option<PromptAnswer> {
        match self.settling {
            Some((answer, settled)) if now >= settled => Some(answer),
            _ if now >= self.deadline => Some(PromptAnswer::TimedOut),
            _ => None,
        }
    }

    /// When the panel wants to look at the clock again.
    pub(super) fn next_look(&self) -> Instant {
        let settled = self.settling.map_or(self.deadline, |(_, settled)| settled);
        settled.min(self.deadline).min(self.drawn_at + COUNTDOWN)
    }

    /// Whether the countdown on the screen is old.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.drawn_at + COUNTDOWN
    }

    /// Takes the keys of one piece of input.
    pub(super) fn press(&mut self, keys: &[Key], now: Instant) {
        let [key] = keys else { return self.ignore(now) };
        if now < self.deaf_until || self.settling.is_some() {
            return self.ignore(now);
        }
        match (self.page, key) {
            (_, Key::Up | Key::Character('k')) => self.scroll = self.scroll.saturating_sub(1),
            (_, Key::Down | Key::Character('j')) => self.scroll += 1,
            (_, Key::PageUp) => self.scroll = self.scroll.saturating_sub(10),
            (_, Key::PageDown | Key::Character(' ')) => self.scroll += 10,
            (_, Key::Home | Key::Character('g')) => self.scroll = 0,
            (_, Key::End | Key::Character('G')) => self.scroll = DETAIL_LINES_MAX,
            (Page::Details, Key::Character('q' | '?') | Key::Escape) | (Page::Period, Key::Escape) => {
                self.turn_to(Page::Question);
            }
            (_, Key::Character('d' | 'D') | Key::Interrupt) => self.settle(PromptAnswer::Deny, now),
            (Page::Question, Key::Character('?')) => self.turn_to(Page::Details),
            _ if !self.is_readable => self.ignore(now),
            (Page::Question, Key::Character('a')) => self.settle(PromptAnswer::Once, now),
            (Page::Question, Key::Character('r')) => self.settle(PromptAnswer::ForRun, now),
            (Page::Question, Key::Character('p')) => self.turn_to(Page::Period),
            (Page::Period, Key::Character('1')) => self.settle(PromptAnswer::ForPolicyUntil(DAY), now),
            (Page::Period, Key::Character('2')) => self.settle(PromptAnswer::ForPolicyUntil(DAY * 7), now),
            (Page::Period, Key::Character('3')) => self.settle(PromptAnswer::ForPolicyUntil(DAY * 30), now),
            _ => self.ignore(now),
        }
    }

    fn settle(&mut self, answer: PromptAnswer, now: Instant) {
        self.settling = Some((answer, now + self.timing.settle));
    }

    /// Someone is typing something else: it takes back an answer, and the panel waits for silence again.
    fn ignore(&mut self, now: Instant) {
        self.settling = None;
        self.deaf_until = now + self.timing.guard;
    }

    fn turn_to(&mut self, page: Page) {
        self.page = page;
        self.scroll = 0;
    }

    /// The bytes that draw the whole panel. `waiting` questions come after this one.
    pub(super) fn draw(&mut self, rows: u16, columns: u16, waiting: usize, now: Instant) -> Vec<u8> {
        self.drawn_at = now;
        let mut lines = self.lines(usize::from(rows), usize::from(columns), waiting, now);
        lines.truncate(usize::from(rows));
        let mut bytes = Vec::new();
        for row in 0..rows {
            bytes.extend_from_slice(format!("\x1b[{};1H\x1b[m", row + 1).as_bytes());
            if let Some(line) = lines.get(usize::from(row)) {
                line.write(self.color, usize::from(columns), &mut bytes);
            }
            bytes.extend_from_slice(b"\x1b[K");
        }
        bytes
    }

    /// The question for a terminal that can't be drawn on: lines from top to bottom, once.
    pub(super) fn write_plainly(&mut self, columns: u16) -> Vec<u8> {
        self.is_readable = true;
        let columns = usize::from(columns).max(usize::from(COLUMNS_MIN));
        let mut bytes = b"\r\n".to_vec();
        let mut lines = vec![self.header(0)];
        lines.extend(self.question(columns));
        lines.push(Line::plain(
            "a approve once, r for this run, p for this policy (then 1, 7 or 30 days: 1, 2, 3), d deny",
        ));
        for line in lines {
            for part in wrap(&line.text(), columns) {
                bytes.extend_from_slice(part.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes
    }

    fn lines(&mut self, rows: usize, columns: usize, waiting: usize, now: Instant) -> Vec<Line> {
        self.is_readable = rows >= usize::from(ROWS_MIN) && columns >= usize::from(COLUMNS_MIN);
        if !self.is_readable {
            return wrap("bartizan asks: enlarge the window, or d denies", columns.max(1))
                .into_iter()
                .map(Line::plain)
                .collect();
        }
        let body = match self.page {
            Page::Question => self.question(columns),
            Page::Period => self.period(columns),
            Page::Details => self.details(columns),
        };
        let keys = match self.page {
            Page::Question => "[a] approve once  [r] for this run  [p] for this policy…  [d] deny  [?] details",
            Page::Period => "[1] 1 day   [2] 7 days   [3] 30 days   [d] deny   [Esc] back",
            Page::Details => "[↑↓ space] scroll   [q] back   [d] deny",
        };
        // The keys never take the target's place: at least two lines are for what is asked.
        let mut keys = wrap(keys, columns - 1);
        keys.truncate(rows - 4);
        let body_rows = rows - 2 - keys.len();
        self.scroll = self.scroll.min(body.len().saturating_sub(body_rows));
        let below = body.len().saturating_sub(self.scroll + body_rows);

        let mut lines = vec![self.header(waiting)];
        lines.extend(body.into_iter().skip(self.scroll).take(body_rows));
        lines.resize_with(rows - 1 - keys.len(), || Line::plain(""));
        lines.push(self.countdown(below, now));
        lines.extend(keys.into_iter().map(|keys| Line::styled(Style::Strong, format!(" {keys}"))));
        lines
    }

    fn header(&self, waiting: usize) -> Line {
        let title = printable(&self.view.title);
        let more = if waiting > 0 { format!(" ({waiting} more waiting)") } else { String::new() };
        Line::styled(Style::Bar, format!(" bartizan asks: {title}{more}"))
    }

    fn countdown(&self, below: usize, now: Instant) -> Line {
        let seconds = self.deadline.saturating_duration_since(now).as_millis().div_ceil(1000);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let more = if below > 0 { format!("   ↓ {below} more lines") } else { String::new() };
        Line::plain(format!(" denied in {minutes}:{seconds:02}{more}"))
    }

    fn question(&self, columns: usize) -> Vec<Line> {
        let view = &self.view;
        let risk = match view.risk.to_ascii_lowercase().as_str() {
            "high" | "critical" => Style::Alarm,
            "medium" => Style::Warning,
            _ => Style::Plain,
        };
        let fields = [
            ("action", &view.action, Style::Strong),
            ("target", &view.target, Style::Strong),
            ("risk", &view.risk, risk),
            ("asked by", &view.principal, Style::Plain),
            ("process", &view.process, Style::Plain),
            ("rule", &view.rule, Style::Plain),
            ("reason", &view.reason, Style::Plain),
            ("digest", &view.digest, Style::Plain),
        ];
        let mut lines = Vec::new();
        for (label, value, style) in fields {
            if !value.is_empty() {
                fit(label, &printable(value), style, columns, &mut lines);
            }
        }
        lines
    }

    fn period(&self, columns: usize) -> Vec<Line> {
        let mut lines = vec![Line::styled(Style::Strong, " Approve under this policy, for how long?")];
        lines.extend(self.question(columns));
        lines
    }

    fn details(&self, columns: usize) -> Vec<Line> {
        self.view
            .details
            .lines()
            .flat_map(|line| wrap(&printable(line), columns - 1))
            .take(DETAIL_LINES_MAX)
            .map(|line| Line::plain(format!(" {line}")))
            .collect()
    }
}
