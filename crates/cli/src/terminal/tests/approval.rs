use super::*;

const PAINTED: &str =
    "\x1b[2J\x1b[H\x1b[1;31mred\x1b[0m plain 日本語 wide\r\n\x1b[44mblue\x1b[7m reversed\x1b[0m\r\n\x1b[3mprompt$ ";

const FULL_SCREEN: &str = "\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[2J\x1b[H\x1b[33m~ 一行目\r\n\x1b[0m\x1b[10;20Hmiddle\x1b7\
     \x1b[24;1H\x1b[7mstatus\x1b[0m\x1b[3;20r\x1b[?25l\x1b[4;7H\x1b[1;36m";

#[tokio::test(flavor = "multi_thread")]
async fn covers_the_main_screen_and_gives_it_back() {
    let mut desk = Desk::new(options(PROMPT));
    desk.write(PAINTED);
    desk.until_shown("prompt$").await;
    let before = desk.picture();
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    let shown = desk.contents();
    for part in [
        "bartizan asks: connect to a new host",
        "net.connect",
        "https://api.example.com:443",
        "claude as coding_assistant",
        "/usr/bin/curl (41)",
        "net.default",
        "no rule names this host",
        "high",
        "sha256:0a1b2c3d",
        "denied in ",
        "[?] details",
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    assert!(!shown.contains("prompt$"));
    desk.write("ls -l\r\n");
    desk.type_keys("d");
    assert_eq!(answer(asked).await, PromptAnswer::Deny);
    desk.until("the main screen", |desk| !desk.picture().2).await;
    // What was written meanwhile comes now, to the place and with the attributes that the program left.
    desk.until_shown("prompt$ ls -l").await;
    let mut expected = vt100::Parser::default();
    expected.process(before.0.as_bytes());
    expected.process(b"ls -l\r\r\n");
    desk.until_picture(&picture(expected.screen())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draws_over_a_full_screen_program_and_repaints_it() {
    let mut desk = Desk::new(options(PROMPT));
    desk.write(FULL_SCREEN);
    desk.until_shown("status").await;
    desk.until("all of it", |desk| desk.picture().1 == (3, 6)).await;
    let before = desk.picture();
    let asked = desk.ask(PromptView { timeout: Duration::from_millis(400), ..view() });
    desk.until_shown("[a] approve once").await;
    assert!(!desk.contents().contains("status"));
    assert_eq!(answer(asked).await, PromptAnswer::TimedOut);
    desk.until_picture(&before).await;
    // Margins and the saved cursor are as the program left them.
    desk.write("\x1b8!\x1b[20;1H\r\n\x1b[?1049l");
    let mut expected = vt100::Parser::default();
    expected.process(FULL_SCREEN.as_bytes());
    expected.process(b"\x1b8!\x1b[20;1H\r\r\n\x1b[?1049l");
    desk.until_picture(&picture(expected.screen())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repaints_where_there_is_no_alternate_screen() {
    let mut desk = Desk::with(options(PROMPT), Ability::OneScreen, || {});
    desk.write(PAINTED);
    desk.until_shown("prompt$").await;
    let before = desk.picture();
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    assert!(!desk.picture().2);
    desk.type_keys("d");
    assert_eq!(answer(asked).await, PromptAnswer::Deny);
    desk.until_picture(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_in_lines_where_nothing_can_be_drawn() {
    let mut desk = Desk::with(options(PROMPT), Ability::Lines, || {});
    desk.write("before");
    desk.until_shown("before").await;
    let asked = desk.ask(view());
    desk.until_shown("d deny").await;
    assert!(desk.contents().contains("https://api.example.com:443"));
    assert!(!desk.bytes.contains(&0x1b));
    desk.type_keys("a");
    assert_eq!(answer(asked).await, PromptAnswer::Once);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_key() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut desk = Desk::new(options(PROMPT));
    for (keys, expected) in [
        ("a", PromptAnswer::Once),
        ("r", PromptAnswer::ForRun),
        ("p1", PromptAnswer::ForPolicyUntil(DAY)),
        ("p2", PromptAnswer::ForPolicyUntil(DAY * 7)),
        ("p3", PromptAnswer::ForPolicyUntil(DAY * 30)),
        ("d", PromptAnswer::Deny),
        ("\x03", PromptAnswer::Deny),
    ] {
        let asked = desk.ask(view());
        desk.until_shown("[a] approve once").await;
        for key in keys.chars() {
            if key.is_ascii_digit() {
                desk.until_shown("[2] 7 days").await;
            }
            desk.type_keys(&key.to_string());
        }
        assert_eq!(answer(asked).await, expected, "{keys:?}");
        desk.until("the main screen", |desk| !desk.picture().2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_keys_answer_nothing() {
    let mut desk = Desk::new(options(PROMPT));
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    for keys in ["y", "\r", "\n", "1", "A", " ", "aa", "ls -la", "\x1b[200~a\x1b[201~", "\x1ba", "\x1b[<0;1;1M", "é"] {
        desk.type_keys(keys);
        desk.until_typed().await;
    }
    assert!(!asked.is_finished());
    assert!(desk.contents().contains("[a] approve once"));
    desk.type_keys("d");
    assert_eq!(answer(asked).await, PromptAnswer::Deny);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_before_goes_to_the_program() {
    let mut desk = Desk::new(options(PROMPT));
    raw(&desk.program);
    desk.type_keys("aaa");
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    let mut keys = [0; 3];
    desk.program.read_exact(&mut keys).unwrap();
    assert_eq!(&keys, b"aaa");
    assert!(!asked.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_too_early_answers_nothing() {
    let mut desk = Desk::new(options(Timing { guard: NEVER, settle: Duration::ZERO }));
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    for key in ["a", "r", "d"] {
        desk.type_keys(key);
        desk.until_typed().await;
    }
    desk.look();
    assert!(!asked.is_finished());
    assert!(desk.contents().contains("[a] approve once"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_begins_a_word_is_taken_back() {
    let mut desk = Desk::new(options(Timing { guard: Duration::ZERO, settle: NEVER }));
    let asked = desk.ask(PromptView { timeout: Duration::from_secs(2), ..view() });
    desk.until_shown("[a] approve once").await;
    for key in ["a", "p", "t"] {
        desk.type_keys(key);
        desk.until_typed().await;
    }
    assert_eq!(answer(asked).await, PromptAnswer::TimedOut);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliberate_key_answers_with_the_real_timing() {
    let mut desk = Desk::new(options(Timing::default()));
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    let mut pressed = Instant::now();
    desk.until("an answer", |desk| {
        if pressed.elapsed() > Duration::from_secs(1) {
            desk.type_keys("a");
            pressed = Instant::now();
        }
        asked.is_finished()
    })
    .await;
    assert_eq!(answer(asked).await, PromptAnswer::Once);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_wait_for_each_other() {
    let mut desk = Desk::new(options(PROMPT));
    let first = desk.ask(view());
    desk.until_shown("connect to a new host").await;
    let second = desk.ask(PromptView { title: "the second".to_owned(), ..view() });
    desk.until_shown("(1 more waiting)").await;
    desk.type_keys("a");
    assert_eq!(answer(first).await, PromptAnswer::Once);
    desk.until_shown("the second").await;
    assert!(!desk.contents().contains("waiting)"));
    desk.type_keys("r");
    assert_eq!(answer(second).await, PromptAnswer::ForRun);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_elsewhere_takes_the_panel_down() {
    let mut desk = Desk::new(options(PROMPT));
    desk.write(PAINTED);
    desk.until_shown("prompt$").await;
    let before = desk.picture();
    let (elsewhere, answered) = tokio::sync::oneshot::channel::<()>();
    let prompter = desk.prompter.clone();
    let asked = tokio::spawn(async move { prompter.prompt(view(), async { _ = answered.await }).await });
    desk.until_shown("[a] approve once").await;
    elsewhere.send(()).unwrap();
    assert_eq!(answer(asked).await, PromptAnswer::Cancelled);
    desk.until_picture(&before).await;

    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    asked.abort();
    desk.until_picture(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn details_show_the_whole_action() {
    let mut desk = Desk::new(options(PROMPT));
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    desk.type_keys("?");
    desk.until_shown("\"detail\": 0").await;
    desk.type_keys("a");
    desk.until_typed().await;
    assert!(!asked.is_finished(), "details are for reading");
    desk.type_keys("G");
    desk.until_shown("\"detail\": 99").await;
    desk.type_keys("q");
    desk.until_shown("[a] approve once").await;
    desk.type_keys("a");
    assert_eq!(answer(asked).await, PromptAnswer::Once);
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_what_would_deceive() {
    let mut desk = Desk::new(options(PROMPT));
    let target = "https://good.example\x1b[2J\x1b[H\u{202e}evil\u{200b}\n risk none".to_owned();
    let asked = desk.ask(PromptView { target, title: "\x1b]0;title\x07".to_owned(), ..view() });
    desk.until_shown("[a] approve once").await;
    let shown = desk.contents();
    assert!(shown.contains(r"https://good.example\x1b[2J\x1b[H\u{202e}evil\u{200b}\n risk none"), "{shown}");
    assert!(shown.contains(r"\x1b]0;title\x07"), "{shown}");
    asked.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_the_window_down_to_nothing() {
    let mut desk = Desk::new(options(PROMPT));
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    desk.resize(10, 44);
    desk.until("the panel in a small window", |desk| {
        let shown = desk.contents();
        shown.contains("https://api.example.com:443")
            && shown.contains("[a] approve once")
            && shown.contains("more lines")
    })
    .await;
    assert_eq!(tcgetwinsize(&desk.program).unwrap(), window(10, 44));
    desk.resize(2, 12);
    desk.until_shown("enlarg").await;
    desk.type_keys("a");
    desk.until_typed().await;
    assert!(!asked.is_finished(), "nobody approves what can't be read");
    desk.resize(1, 1);
    desk.resize(24, 80);
    desk.until_shown("https://api.example.com:443").await;
    desk.until_shown("[a] approve once").await;
    desk.type_keys("a");
    assert_eq!(answer(asked).await, PromptAnswer::Once);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_the_end_of_a_sequence() {
    let mut desk = Desk::new(options(PROMPT));
    desk.write("x\x1b]0;half a ti");
    desk.until_shown("x").await;
    let asked = desk.ask(view());
    desk.write("tle\x07y");
    desk.until_shown("[a] approve once").await;
    desk.type_keys("d");
    assert_eq!(answer(asked).await, PromptAnswer::Deny);
    desk.until_shown("xy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_sequence_does_not_swallow_the_panel() {
    let mut desk = Desk::new(options(PROMPT));
    desk.write("x\x1b]0;never ends");
    desk.until_shown("x").await;
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    desk.type_keys("d");
    assert_eq!(answer(asked).await, PromptAnswer::Deny);
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_can_be_off() {
    let mut desk = Desk::new(Options { color: false, ..options(PROMPT) });
    let asked = desk.ask(view());
    desk.until_shown("[a] approve once").await;
    let text = String::from_utf8_lossy(&desk.bytes).into_owned();
    for color in ["\x1b[1;31m", "\x1b[1;33m", "\x1b[1;37;44m"] {
        assert!(!text.contains(color));
    }
    asked.abort();
}
