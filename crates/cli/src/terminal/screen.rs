//! What is on the user's screen: a model that sees every byte of output, and the bytes that put things back.

use std::num::NonZeroU16;
use std::panic::AssertUnwindSafe;

use rustix::termios::Winsize;

use super::lexer::{Lexer, Sequence, Token};

/// The size taken when a terminal doesn't know its own, as on a serial line.
const DEFAULT_ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const DEFAULT_COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();

/// The model keeps this many cells at most; a window this large doesn't exist.
const SIDE_MAX: u16 = 1000;

/// How the panel gets its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// The program is on the main screen: the terminal keeps that one while the alternate screen is shown.
    Alternate,
    /// The program is on the alternate screen, or the terminal has none: draw over it and repaint from the model.
    Over,
}

/// The state of a terminal that has been sent everything given to [`Screen::feed`].
pub(super) struct Screen {
    parser: vt100::Parser,
    lexer: Lexer,
    modes: Modes,
    has_alternate: bool,
}

/// What a terminal keeps and the `vt100` crate doesn't tell.
#[derive(Debug, Clone)]
struct Modes {
    autowrap: bool,
    insert: bool,
    focus_reports: bool,
    synchronized: bool,
    /// Whether G0 and G1 hold the line-drawing characters.
    graphics: [bool; 2],
    shifted: bool,
    /// Keyboard protocol levels that the program pushed.
    keyboard_levels: u16,
    /// The cursor was saved since the program entered the alternate screen.
    cursor_saved: bool,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            autowrap: true,
            insert: false,
            focus_reports: false,
            synchronized: false,
            graphics: [false; 2],
            shifted: false,
            keyboard_levels: 0,
            cursor_saved: false,
        }
    }
}

impl Screen {
    /// `has_alternate` says whether the terminal can show an alternate screen.
    pub(super) fn new(size: Winsize, has_alternate: bool) -> Self {
        let (rows, columns) = dimensions(size);
        Self {
            parser: vt100::Parser::new(rows, columns, 0),
            lexer: Lexer::default(),
            modes: Modes::default(),
            has_alternate,
        }
    }

    pub(super) fn resize(&mut self, size: Winsize) {
        let (rows, columns) = dimensions(size);
        self.model(|parser| parser.set_size(rows, columns));
    }

    /// Rows and columns.
    pub(super) fn size(&self) -> (u16, u16) {
        let (rows, columns) = self.parser.screen().size();
        (rows.get(), columns.get())
    }

    /// Whether something else may be written now without cutting a character or a sequence.
    pub(super) fn is_between(&self) -> bool {
        self.lexer.is_between()
    }

    /// Takes in all of `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.advance(bytes, false);
    }

    /// Takes in bytes until the stream stands between two sequences; gives how many that were.
    pub(super) fn feed_to_boundary(&mut self, bytes: &[u8]) -> usize {
        if self.is_between() { 0 } else { self.advance(bytes, true) }
    }

    fn advance(&mut self, bytes: &[u8], stop_between: bool) -> usize {
        let mut position = 0;
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            // A main screen that the terminal itself keeps is never repainted: of what is written there only the
            // modes matter, and leaving the rest away makes bulk output several times as fast.
            let is_drawn = self.cover() == Cover::Over;
            let (length, token) = self.lexer.next(rest);
            let mut supplement: &[u8] = b"";
            let mut graphics = false;
            let mut is_sequence = true;
            match token {
                Token::Text => {
                    is_sequence = false;
                    let [first, second] = self.modes.graphics;
                    graphics = if self.modes.shifted { second } else { first };
                }
                Token::Control(0x0e) => self.modes.shifted = true,
                Token::Control(0x0f) => self.modes.shifted = false,
                Token::Escape(sequence) => self.modes.escape(sequence),
                Token::Csi(sequence) => supplement = self.modes.csi(sequence),
                Token::Control(0x18 | 0x1a) | Token::String | Token::Unfinished => {}
                Token::Control(_) => is_sequence = false,
            }
            let taken = rest.get(..length).unwrap_or(rest);
            if graphics && is_drawn {
                let drawn = line_drawing(taken);
                self.model(|parser| parser.process(drawn.as_bytes()));
            } else if is_drawn || is_sequence {
                self.model(|parser| parser.process(taken));
            }
            if !supplement.is_empty() {
                self.model(|parser| parser.process(supplement));
            }
            position += length;
            if stop_between && self.lexer.is_between() {
                break;
            }
        }
        position
    }

    /// Runs the model, which reads what an untrusted program writes: should it ever panic on it, the picture is
    /// lost and the program's next repaint makes a new one.
    fn model(&mut self, work: impl FnOnce(&mut vt100::Parser)) {
        if std::panic::catch_unwind(AssertUnwindSafe(|| work(&mut self.parser))).is_err() {
            let (rows, columns) = self.parser.screen().size();
            self.parser = vt100::Parser::new(rows, columns, 0);
        }
    }

    /// How a panel can be shown now.
    pub(super) fn cover(&self) -> Cover {
        if self.has_alternate && !self.parser.screen().alternate_screen() { Cover::Alternate } else { Cover::Over }
    }

    /// The bytes that make place for a panel: own screen, no mouse or focus reports, plain text, nothing moving.
    pub(super) fn begin_panel(&self, cover: Cover) -> Vec<u8> {
        let mut bytes = Vec::new();
        if !self.is_between() {
            // The program left a sequence open, which would swallow the panel.
            bytes.extend_from_slice(b"\x18\x1b\\");
        }
        if self.modes.synchronized {
            bytes.extend_from_slice(b"\x1b[?2026l");
        }
        match cover {
            Cover::Alternate => bytes.extend_from_slice(b"\x1b[?1049h"),
            Cover::Over if self.modes.keyboard_levels > 0 => bytes.extend_from_slice(b"\x1b[>0u"),
            Cover::Over => {}
        }
        bytes.extend_from_slice(b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l");
        // Origin mode would shift every position, and insert mode every character.
        bytes.extend_from_slice(b"\x1b[?6l\x1b[4l\x1b[?7l\x1b(B\x0f\x1b[m\x1b[?25l");
        bytes
    }

    /// The bytes that take the panel away and leave the terminal as the program knows it.
    pub(super) fn end_panel(&self, cover: Cover) -> Vec<u8> {
        let mut bytes = Vec::new();
        match cover {
            // The terminal restores the main screen, cursor, attributes and character sets itself, better than a
            // model could that doesn't know what stood on the screen before the program started.
            Cover::Alternate => {
                bytes.extend_from_slice(b"\x1b[m\x1b[?1049l");
                bytes.extend_from_slice(if self.parser.screen().hide_cursor() { b"\x1b[?25l" } else { b"\x1b[?25h" });
            }
            Cover::Over => self.repaint(&mut bytes),
        }
        self.restore_modes(&mut bytes);
        if cover == Cover::Over && self.modes.keyboard_levels > 0 {
            bytes.extend_from_slice(b"\x1b[<u");
        }
        bytes
    }

    /// Draws the model's picture, wherever the cursor and the margins are now.
    fn repaint(&self, bytes: &mut Vec<u8>) {
        let screen = self.parser.screen();
        bytes.extend_from_slice(b"\x1b[m\x1b(B\x0f\x1b[?7h\x1b[4l\x1b[?6l\x1b[r");
        bytes.extend_from_slice(screen.contents_formatted().as_bytes());
        if self.modes.cursor_saved {
            let saved = self.probe(b"\x1b8");
            place_cursor(&saved, bytes);
            bytes.extend_from_slice(saved.attributes_formatted().as_bytes());
            bytes.extend_from_slice(b"\x1b7");
        }
        let (rows, _) = self.size();
        let (top, bottom) = self.margins();
        let has_margins = (top, bottom) != (0, rows - 1);
        if has_margins {
            bytes.extend_from_slice(format!("\x1b[{};{}r", top + 1, bottom + 1).as_bytes());
        }
        let (row, column) = screen.cursor_position();
        if self.is_in_origin_mode() {
            let row = row.saturating_sub(top) + 1;
            bytes.extend_from_slice(format!("\x1b[?6h\x1b[{row};{}H", column + 1).as_bytes());
        } else if has_margins || self.modes.cursor_saved {
            place_cursor(screen, bytes);
        }
        bytes.extend_from_slice(screen.attributes_formatted().as_bytes());
        for (drawn, designation) in self.modes.graphics.iter().zip([b"\x1b(0", b"\x1b)0"]) {
            if *drawn {
                bytes.extend_from_slice(designation);
            }
        }
        if self.modes.shifted {
            bytes.push(0x0e);
        }
    }

    fn restore_modes(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(if self.modes.autowrap { b"\x1b[?7h" } else { b"\x1b[?7l" });
        if self.modes.insert {
            bytes.extend_from_slice(b"\x1b[4h");
        }
        bytes.extend_from_slice(self.parser.screen().input_mode_formatted().as_bytes());
        if self.modes.focus_reports {
            bytes.extend_from_slice(b"\x1b[?1004h");
        }
        if self.modes.synchronized {
            bytes.extend_from_slice(b"\x1b[?2026h");
        }
    }

    /// The bytes that give the terminal back to a shell: undoes only what the program left on.
    pub(super) fn hand_back(&self) -> Vec<u8> {
        let screen = self.parser.screen();
        let mut bytes = Vec::new();
        let mut undo = |needed: bool, sequence: &[u8]| {
            if needed {
                bytes.extend_from_slice(sequence);
            }
        };
        undo(!self.is_between(), b"\x18\x1b\\");
        undo(self.modes.synchronized, b"\x1b[?2026l");
        for _ in 0..self.modes.keyboard_levels {
            undo(true, b"\x1b[<u");
        }
        // Setting the margins moves the cursor, so it is saved; the alternate screen is left afterwards, because
        // that restores the cursor saved on entering it.
        undo(self.margins() != (0, self.size().0 - 1), b"\x1b7\x1b[r\x1b8");
        undo(screen.alternate_screen(), b"\x1b[?1049l");
        undo(screen.hide_cursor(), b"\x1b[?25h");
        undo(
            screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None,
            b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?9l",
        );
        undo(screen.mouse_protocol_encoding() != vt100::MouseProtocolEncoding::Default, b"\x1b[?1005l\x1b[?1006l");
        undo(screen.bracketed_paste(), b"\x1b[?2004l");
        undo(screen.application_cursor(), b"\x1b[?1l");
        undo(screen.application_keypad(), b"\x1b>");
        undo(screen.cursor_style() != vt100::CursorStyle::Default, b"\x1b[0 q");
        undo(self.modes.focus_reports, b"\x1b[?1004l");
        undo(!self.modes.autowrap, b"\x1b[?7h");
        undo(self.modes.insert, b"\x1b[4l");
        undo(self.modes.graphics != [false; 2] || self.modes.shifted, b"\x1b(B\x1b)B\x0f");
        let plain = vt100::Parser::default().screen().attributes_formatted();
        // Leaving the alternate screen also restores attributes that were saved at some time.
        undo(screen.alternate_screen() || screen.attributes_formatted() != plain, b"\x1b[m");
        bytes
    }

    /// The bytes that show the program's state again on a terminal that was handed back.
    pub(super) fn take_again(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.parser.screen().alternate_screen() {
            bytes.extend_from_slice(b"\x1b[?1049h");
            self.repaint(&mut bytes);
        } else if self.parser.screen().hide_cursor() {
            bytes.extend_from_slice(b"\x1b[?25l");
        }
        self.restore_modes(&mut bytes);
        bytes
    }

    /// The first and the last row of the scrolling region.
    fn margins(&self) -> (u16, u16) {
        (self.probe(b"\x1b[?6h\x1b[H").cursor_position().0, self.probe(b"\x1b[?6h\x1b[9999H").cursor_position().0)
    }

    /// Whether rows are counted from the top margin.
    fn is_in_origin_mode(&self) -> bool {
        self.probe(b"\x1b[2;3r\x1b[H").cursor_position().0 > 0
    }

    /// The model as it would be after these bytes.
    fn probe(&self, bytes: &[u8]) -> vt100::Screen {
        let (rows, columns) = self.parser.screen().size();
        let mut parser = vt100::Parser::new(rows, columns, 0);
        *parser.screen_mut() = self.parser.screen().clone();
        parser.process(bytes);
        parser.screen().clone()
    }
}

impl Modes {
    fn escape(&mut self, sequence: &Sequence) {
        match (sequence.intermediate, sequence.end) {
            (Some(b'('), set) => self.graphics[0] = set == b'0',
            (Some(b')'), set) => self.graphics[1] = set == b'0',
            (None, b'7') => self.cursor_saved = true,
            (None, b'c') => *self = Self::default(),
            _ => {}
        }
    }

    /// Notes the modes a sequence sets; gives what the model is to be told besides, in words that it knows.
    fn csi(&mut self, sequence: &Sequence) -> &'static [u8] {
        /// No program nests keyboard levels deeper, and each is undone by a sequence of its own.
        const KEYBOARD_LEVELS_MAX: u16 = 16;
        let set = sequence.end == b'h';
        let mut supplement: &'static [u8] = b"";
        match (sequence.prefix, sequence.intermediate, sequence.end) {
            (Some(b'?'), None, b'h' | b'l') => {
                for mode in &sequence.parameters {
                    match mode {
                        7 => self.autowrap = set,
                        1004 => self.focus_reports = set,
                        2026 => self.synchronized = set,
                        47 | 1049 => self.cursor_saved = false,
                        1047 => {
                            self.cursor_saved = false;
                            supplement = if set { b"\x1b[?47h\x1b[2J" } else { b"\x1b[?47l" };
                        }
                        _ => {}
                    }
                }
            }
            (None, None, b'h' | b'l') if sequence.parameters.contains(&4) => self.insert = set,
            (None, None, b's') if sequence.parameters.is_empty() => {
                self.cursor_saved = true;
                supplement = b"\x1b7";
            }
            (None, None, b'u') if sequence.parameters.is_empty() => supplement = b"\x1b8",
            (None, Some(b'!'), b'p') => {
                *self =
                    Self { synchronized: self.synchronized, keyboard_levels: self.keyboard_levels, ..Self::default() };
                supplement = b"\x1b7\x1b[?6l\x1b[r\x1b8\x1b[m\x1b[?25h\x1b[?1l\x1b>";
            }
            (Some(b'>'), None, b'u') => self.keyboard_levels = (self.keyboard_levels + 1).min(KEYBOARD_LEVELS_MAX),
            (Some(b'<'), None, b'u') => {
                let levels = sequence.parameters.first().copied().unwrap_or(1).max(1);
                self.keyboard_levels = self.keyboard_levels.saturating_sub(levels);
            }
            _ => {}
        }
        supplement
    }
}

/// Puts the cursor where it is in the model. One that waits to wrap is put there by drawing the last character of
/// its row once more, which starts from plain attributes.
fn place_cursor(screen: &vt100::Screen, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(b"\x1b[m");
    bytes.extend_from_slice(screen.cursor_state_formatted().as_bytes());
}

fn dimensions(size: Winsize) -> (NonZeroU16, NonZeroU16) {
    (
        NonZeroU16::new(size.ws_row.min(SIDE_MAX)).unwrap_or(DEFAULT_ROWS),
        NonZeroU16::new(size.ws_col.min(SIDE_MAX)).unwrap_or(DEFAULT_COLUMNS),
    )
}

/// Text in the DEC line-drawing set, in Unicode: the model knows no character sets.
fn line_drawing(bytes: &[u8]) -> String {
    const FROM_BACKQUOTE: [char; 31] = [
        '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼', '⎽', '├', '┤',
        '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
    ];
    bytes
        .iter()
        .map(|byte| {
            let index = usize::from(byte.wrapping_sub(b'`'));
            FROM_BACKQUOTE.get(index).copied().unwrap_or(if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' })
        })
        .collect()
}
