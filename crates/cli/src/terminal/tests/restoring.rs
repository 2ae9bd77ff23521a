//! Whatever a program has done to the terminal, a panel changes nothing of it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::terminal::screen::{Cover, Screen};

/// Things programs write. The full-screen ones use everything; on the main screen the saved cursor is the
/// terminal's to give up, and so it isn't used.
fn piece(full_screen: bool) -> impl Strategy<Value = String> {
    let movement = (1_u16..30, 1_u16..90);
    let anywhere = prop_oneof![
        4 => "[ -~]{1,90}",
        2 => "[日本語é🦀a]{1,20}",
        2 => movement.prop_map(|(row, column)| format!("\x1b[{row};{column}H")),
        1 => (0_u8..108).prop_map(|code| format!("\x1b[{code}m")),
        1 => (0_u8..=255).prop_map(|index| format!("\x1b[38;5;{index};48;2;1;2;{index}m")),
        2 => prop::sample::select(vec![
            "\r\n", "\n", "\t", "\x08", "\x1b[K", "\x1b[1K", "\x1b[J", "\x1b[2J", "\x1b[L", "\x1b[M", "\x1b[3P", "\x1b[4@", "\x1bM",
            "\x1b[?25l", "\x1b[?25h", "\x1b[?1h", "\x1b[?1l", "\x1b=", "\x1b>", "\x1b[?2004h", "\x1b[?2004l", "\x1b[?1000h",
            "\x1b[?1003h", "\x1b[?1006h", "\x1b[?1003l", "\x1b[4 q", "\x1b[0 q", "\x1b[2S", "\x1b[2T", "\x1b[5X", "\x1b]0;title\x07",
        ])
        .prop_map(str::to_owned),
    ];
    let confined = prop_oneof![
        (1_u16..20, 1_u16..10).prop_map(|(top, height)| format!("\x1b[{top};{}r", top + height)),
        prop::sample::select(vec!["\x1b7", "\x1b8", "\x1b[r"]).prop_map(str::to_owned),
    ];
    if full_screen { prop_oneof![5 => anywhere, 1 => confined].boxed() } else { anywhere.boxed() }
}

fn check(start: &str, before: &[String], after: &[String], cover: Cover) -> Result<(), TestCaseError> {
    let mut screen = Screen::new(window(24, 80), true);
    let mut expected = vt100::Parser::default();
    let mut terminal = vt100::Parser::default();
    for text in std::iter::once(start).chain(before.iter().map(String::as_str)) {
        screen.feed(text.as_bytes());
        expected.process(text.as_bytes());
        terminal.process(text.as_bytes());
    }
    prop_assert_eq!(screen.cover(), cover);
    // A cursor waiting to wrap behind an erased character is put there with the help of the saved cursor, which is
    // lost with that. No program is known to get there.
    prop_assume!(!expected.screen().state_formatted().contains("\x1b7"));
    terminal.process(&screen.begin_panel(cover));
    terminal.process(b"\x1b[1;1H\x1b[1;37;44mbartizan asks\x1b[m\x1b[K\x1b[24;1H[a] approve\x1b[m\x1b[K");
    terminal.process(&screen.end_panel(cover));
    prop_assert_eq!(picture(terminal.screen()), picture(expected.screen()));
    for text in after {
        expected.process(text.as_bytes());
        terminal.process(text.as_bytes());
    }
    prop_assert_eq!(picture(terminal.screen()), picture(expected.screen()), "it went on differently");
    Ok(())
}

proptest! {
    #[test]
    fn the_main_screen_is_as_before(before in vec(piece(false), 0..20), after in vec(piece(false), 0..10)) {
        check("", &before, &after, Cover::Alternate)?;
    }

    #[test]
    fn a_full_screen_is_as_before(before in vec(piece(true), 0..20), after in vec(piece(true), 0..10)) {
        check("\x1b[?1049h\x1b[H", &before, &after, Cover::Over)?;
    }

    #[test]
    fn handing_back_undoes_everything(before in vec(piece(true), 0..20)) {
        let mut screen = Screen::new(window(24, 80), true);
        let mut terminal = vt100::Parser::default();
        for text in std::iter::once("\x1b[?1049h").chain(before.iter().map(String::as_str)) {
            screen.feed(text.as_bytes());
            terminal.process(text.as_bytes());
        }
        terminal.process(&screen.hand_back());
        prop_assert_eq!(picture(terminal.screen()), picture(vt100::Parser::default().screen()));
    }
}

/// Origin mode stands apart: with it, a cursor waiting to wrap can't always be put back, and no program uses both.
#[test]
fn origin_mode_is_as_before() {
    let before = ["\x1b[5;9rtext\x1b[?6h\x1b[3;4Hmore".to_owned()];
    let after = ["here\x1b[Htop\x1b[99;1Hbottom\r\nscrolled\x1b[?6l\x1b[Hhome".to_owned()];
    check("\x1b[?1049h\x1b[H", &before, &after, Cover::Over).unwrap();
}

#[test]
fn a_quiet_program_leaves_nothing_to_undo() {
    let mut screen = Screen::new(window(24, 80), true);
    screen.feed("\x1b[31mhello\x1b[0m 日本\r\n".as_bytes());
    assert_eq!(screen.hand_back(), b"");
}

#[test]
fn line_drawing_is_repainted_as_lines() {
    let mut screen = Screen::new(window(24, 80), true);
    screen.feed(b"\x1b[?1049h\x1b[H\x1b(0lqqk\x1b(B ascii q \x1b)0\x0ex");
    let restored = String::from_utf8(screen.end_panel(Cover::Over)).unwrap();
    assert!(restored.contains("┌──┐"), "{restored:?}");
    assert!(restored.contains("ascii q"), "{restored:?}");
    assert!(restored.contains("\x1b)0") && restored.contains('\x0e'), "{restored:?}");
}

#[test]
fn modes_the_model_does_not_know_are_restored() {
    let mut screen = Screen::new(window(24, 80), true);
    screen.feed(b"\x1b[?1049h\x1b[?7l\x1b[4h\x1b[?1004h\x1b[>1u");
    let restored = String::from_utf8(screen.end_panel(Cover::Over)).unwrap();
    for mode in ["\x1b[?7l", "\x1b[4h", "\x1b[?1004h", "\x1b[<u"] {
        assert!(restored.contains(mode), "{mode:?} is missing in {restored:?}");
    }
}
