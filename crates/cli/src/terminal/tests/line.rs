use std::sync::Arc;

use super::*;
use crate::terminal::plain::PlainPrompt;

/// A person at a controlling terminal, asked in one line.
struct Line {
    user: File,
    prompt: Arc<PlainPrompt>,
    seen: String,
}

impl Line {
    fn new() -> Self {
        let (user, device) = pseudo_terminal(24, 80);
        Self { user: File::from(user), prompt: Arc::new(PlainPrompt::over(device, PROMPT)), seen: String::new() }
    }

    fn ask(&self, view: PromptView) -> tokio::task::JoinHandle<PromptAnswer> {
        let prompt = Arc::clone(&self.prompt);
        tokio::spawn(async move { prompt.prompt(view, std::future::pending()).await })
    }

    fn look(&mut self) {
        let mut buffer = [0; 8192];
        while let Ok(length) = self.user.read(&mut buffer) {
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }

    async fn until_shown(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.look();
            if self.seen.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "never shown: {text}; but:\n{}", self.seen);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Types the line until it is taken: the first may be discarded as typed too early.
    async fn answer(&mut self, line: &str, asked: tokio::task::JoinHandle<PromptAnswer>) -> PromptAnswer {
        let deadline = Instant::now() + PATIENCE;
        while !asked.is_finished() {
            assert!(Instant::now() < deadline, "no answer; shown:\n{}", self.seen);
            self.user.write_all(line.as_bytes()).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.look();
        }
        asked.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_and_takes_an_answer() {
    let mut line = Line::new();
    for (typed, expected) in [
        ("a\n", PromptAnswer::Once),
        ("r\n", PromptAnswer::ForRun),
        ("p7\n", PromptAnswer::ForPolicyUntil(Duration::from_secs(7 * 24 * 60 * 60))),
        ("d\n", PromptAnswer::Deny),
        ("\x04", PromptAnswer::Deny),
    ] {
        let asked = line.ask(view());
        line.until_shown("then Enter").await;
        assert!(line.seen.contains("net.connect https://api.example.com:443 by claude as coding_assistant"));
        assert_eq!(line.answer(typed, asked).await, expected, "{typed:?}");
        line.seen.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn type_ahead_and_other_words_answer_nothing() {
    let mut line = Line::new();
    line.user.write_all(b"a\na\n").unwrap();
    let asked = line.ask(view());
    line.until_shown("then Enter").await;
    let deadline = Instant::now() + PATIENCE;
    while !line.seen.contains("bartizan: answer a, r, p1, p7, p30 or d") {
        assert!(Instant::now() < deadline && !asked.is_finished());
        line.user.write_all(b"yes\n").unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        line.look();
    }
    assert!(!asked.is_finished());
    assert_eq!(line.answer("d\n", asked).await, PromptAnswer::Deny);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_out_and_can_be_withdrawn() {
    let mut line = Line::new();
    let asked = line.ask(PromptView { timeout: Duration::from_millis(100), ..view() });
    assert_eq!(answer(asked).await, PromptAnswer::TimedOut);
    line.until_shown("no answer in time, denied").await;
    line.seen.clear();

    let asked = line.ask(view());
    line.until_shown("then Enter").await;
    asked.abort();
    line.until_shown("answered elsewhere").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_what_would_deceive() {
    let mut line = Line::new();
    let asked = line.ask(PromptView { target: "good\x1b[2K\r\u{202e}evil".to_owned(), ..view() });
    line.until_shown("then Enter").await;
    assert!(line.seen.contains(r"good\x1b[2K\r\u{202e}evil"), "{}", line.seen);
    asked.abort();
}
