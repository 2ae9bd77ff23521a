use std::sync::atomic::AtomicBool;

use super::*;

/// Bytes of every value, in an order that repeats nowhere; a generator of our own, so that runs are alike.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_output_byte_for_byte() {
    let mut desk = Desk::new(options(PROMPT));
    raw(&desk.program);
    let sent = noise(10 << 20);
    let mut program = desk.program.try_clone().unwrap();
    let expected = sent.clone();
    let writer = std::thread::spawn(move || program.write_all(&sent).unwrap());
    let mut got = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let deadline = Instant::now() + PATIENCE * 4;
    while got.len() < expected.len() {
        assert!(Instant::now() < deadline, "only {} bytes came", got.len());
        match desk.user.read(&mut buffer) {
            Ok(length) => got.extend_from_slice(&buffer[..length]),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    writer.join().unwrap();
    assert!(got == expected, "the bytes differ");
    assert_eq!(desk.terminal().output_bytes(), expected.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_input_byte_for_byte() {
    let desk = Desk::new(options(PROMPT));
    raw(&desk.program);
    let sent = noise(1 << 20);
    let expected = sent.clone();
    let mut user = desk.user.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let mut rest = &sent[..];
        while !rest.is_empty() {
            match user.write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(_) => std::thread::yield_now(),
            }
        }
    });
    let mut program = desk.program.try_clone().unwrap();
    let reader = tokio::task::spawn_blocking(move || {
        let mut got = vec![0; expected.len()];
        program.read_exact(&mut got).unwrap();
        assert!(got == expected, "the bytes differ");
    });
    tokio::time::timeout(PATIENCE * 4, reader).await.unwrap().unwrap();
    writer.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_gets_the_window_and_its_changes() {
    let mut desk = Desk::new(options(PROMPT));
    assert_eq!(tcgetwinsize(&desk.program).unwrap(), window(24, 80));
    desk.resize(50, 132);
    desk.until("the new size", |desk| tcgetwinsize(&desk.program).unwrap() == window(50, 132)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_keys_mean_the_program() {
    let mut desk = Desk::new(options(PROMPT));
    raw(&desk.program);
    desk.type_keys("\x03\x1a\x1c\x13\x11");
    let mut program = desk.program.try_clone().unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let mut keys = [0; 5];
        program.read_exact(&mut keys).unwrap();
        keys
    });
    assert_eq!(tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap(), *b"\x03\x1a\x1c\x13\x11");
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_drains_the_output_and_restores_the_terminal() {
    let mut desk = Desk::new(options(PROMPT));
    assert!(desk.is_raw());
    desk.write("\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?2004h\x1b[31mfull screen\x1b[3;5r last words");
    let Desk { terminal, program, .. } = desk;
    drop(program);
    let written = terminal.unwrap().finish().await;
    let (mut user, device) = (desk.user, desk.device);
    let mut bytes = Vec::new();
    // Ends with an error: nothing more to read now, and nobody left to write.
    _ = user.read_to_end(&mut bytes);
    let mut seen = vt100::Parser::default();
    seen.process(&bytes);
    assert!(bytes.windows(10).any(|part| part == b"last words"));
    assert!(written > 60);
    assert_eq!(picture(seen.screen()), picture(vt100::Parser::default().screen()), "what was left on is undone");
    assert!(tcgetattr(&device).unwrap().local_modes.contains(LocalModes::ICANON));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_restores_the_terminal_even_in_a_panic() {
    let mut desk = Desk::new(options(PROMPT));
    assert!(desk.is_raw());
    let terminal = desk.terminal.take();
    let panicked = tokio::spawn(async move {
        let _terminal = terminal;
        std::panic::resume_unwind(Box::new("a panic without a message"));
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert!(!desk.is_raw());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_to_end_restores_the_terminal_and_is_told() {
    let desk = Desk::new(options(PROMPT));
    desk.terminal().commands.send(Command::Terminate);
    tokio::time::timeout(PATIENCE, desk.terminal().terminated()).await.unwrap();
    assert!(!desk.is_raw());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_goes_away_is_told() {
    let desk = Desk::new(options(PROMPT));
    let asked = desk.ask(view());
    let Desk { terminal, user, device, .. } = desk;
    drop((user, device));
    tokio::time::timeout(PATIENCE, terminal.as_ref().unwrap().terminated()).await.unwrap();
    assert_eq!(answer(asked).await, PromptAnswer::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn output_beyond_the_limit_is_told_and_not_shown() {
    let mut desk = Desk::new(Options { output_bytes_max: Some(10), ..options(PROMPT) });
    desk.write("0123456789");
    desk.until_shown("0123456789").await;
    assert!(!*desk.terminal().status.limit_passed.borrow(), "the limit itself is allowed");
    desk.write("beyond");
    tokio::time::timeout(PATIENCE, desk.terminal().output_limit_passed()).await.unwrap();
    let terminal = desk.terminal.take().unwrap();
    let written = terminal.finish().await;
    assert_eq!(written, 16);
    assert!(!desk.contents().contains("beyond"));
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_gives_the_terminal_to_the_shell_and_back() {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    fn stop() {
        STOPPED.store(true, Ordering::SeqCst);
    }
    let mut desk = Desk::with(options(PROMPT), Ability::Full, stop);
    desk.write("\x1b[?1049h\x1b[?25l\x1b[2J\x1b[5;5H\x1b[32mediting\x1b[?1h");
    desk.until_shown("editing").await;
    let before = desk.picture();
    desk.terminal().commands.send(Command::Suspend);
    desk.until("stopped", |_| STOPPED.load(Ordering::SeqCst)).await;
    assert!(!desk.is_raw());
    let (_, _, is_alternate) = desk.picture();
    assert!(!is_alternate && !desk.seen.screen().hide_cursor());
    desk.write("\x1b[1;1Hmeanwhile");
    // A question's own time limit tells that the relay had long enough to show what it must not.
    let asked = desk.ask(PromptView { timeout: Duration::ZERO, ..view() });
    assert_eq!(answer(asked).await, PromptAnswer::TimedOut);
    assert!(!desk.contents().contains("meanwhile") && !desk.is_raw());
    desk.terminal().commands.send(Command::Continue);
    desk.until_shown("meanwhile").await;
    desk.write("\x1b[1;1H\x1b[m\x1b[K\x1b[32m\x1b[5;12H");
    desk.until_picture(&before).await;
    assert!(desk.is_raw());
}
