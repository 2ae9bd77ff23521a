//! Moments as people write them: a time, a date, or a while from now.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Which way from now a while is meant.
#[derive(Clone, Copy)]
pub enum Direction {
    /// Before now.
    Ago,
    /// After now.
    Ahead,
}

/// The moment that `text` names.
///
/// # Errors
/// It names none; the sentence shows what would.
pub fn parse(text: &str, now: Timestamp, direction: Direction) -> Result<Timestamp, String> {
    let help = || format!("`{text}` is no time; write `8h`, `7d`, `2026-12-31` or `2026-12-31T18:00Z`");
    if let Ok(span) = text.parse::<Span>() {
        let now = now.to_zoned(TimeZone::system());
        let moment = match direction {
            Direction::Ago => now.checked_sub(span),
            Direction::Ahead => now.checked_add(span),
        };
        return moment.map(|moment| moment.timestamp()).map_err(|_| help());
    }
    text.parse::<Timestamp>().or_else(|_| {
        let date: Date = text.parse().map_err(|_| help())?;
        date.to_zoned(TimeZone::system()).map(|midnight| midnight.timestamp()).map_err(|_| help())
    })
}
