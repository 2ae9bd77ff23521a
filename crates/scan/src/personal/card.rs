//! Payment cards: the issuers' prefixes and lengths, and the check digit of ISO/IEC 7812-1.

use super::bytes::{at, before, part, run_start};
use super::context::is_near;
use super::groups::Groups;
use super::{Found, Kind, checks};

const WORDS: &[&str] = &[
    "card",
    "cc",
    "credit",
    "debit",
    "visa",
    "mastercard",
    "amex",
    "maestro",
    "diners",
    "discover",
    "pan",
    "payment",
    "carte",
    "karte",
    "tarjeta",
    "cartão",
    "carta",
    "kort",
    "ccnum",
    "cvv",
    "cvc",
    "expires",
    "expiry",
    "billing",
];

/// How cards are printed and typed: whole, or in the groups that stand on them.
const SHAPES: &[&[u8]] = &[b"4_4_4_4", b"4_6_5", b"4_6_4", b"4_4_4_4_3", b"8_8", b"4_4_5", b"4_4_4", b"6_d"];

/// The number of a card that starts with this group.
pub(super) fn find(text: &[u8], groups: &Groups, first: usize) -> Option<Found> {
    let span = match groups.digits(first) {
        length @ 12..=19 => groups.matches(text, first, &[b'a' + u8::try_from(length - 10).ok()?])?,
        4 | 6 | 8 => SHAPES.iter().find_map(|shape| groups.matches(text, first, shape))?,
        _ => return None,
    };
    let number = part(text, span.clone());
    let alone = match issuer(number) {
        Issuer::None => return None,
        Issuer::Strong => 80,
        Issuer::Weak => 0,
    };
    if !checks::luhn(number) || is_series(number) {
        return None;
    }
    // Digits in a list of long numbers are somebody's constants, so a word is needed there, too.
    let is_listed = groups.len() > SHAPE_GROUPS_MAX || groups.is_cut() || is_argument(text, span.start, span.end);
    let score = if is_near(text, span.start, span.end, WORDS) {
        95
    } else if is_listed {
        0
    } else {
        alone
    };
    (score > 0).then_some(Found { kind: Kind::PaymentCard, score, span })
}

/// Whether an issuer has such numbers, and the check digit is right.
pub(super) fn is_valid(number: &[u8]) -> bool {
    !matches!(issuer(number), Issuer::None) && checks::luhn(number) && !is_series(number)
}

/// Whether this is a bare number in a list or a call of a program; in a table of data no space stands after commas.
fn is_argument(text: &[u8], start: usize, end: usize) -> bool {
    let is_space = |byte: u8| byte.is_ascii_whitespace();
    let gap = run_start(text, start, 40, is_space);
    let follows = match before(text, gap) {
        b'[' | b'(' | b'{' => true,
        b',' | b'/' => gap < start,
        _ => false,
    };
    let goes_on = match at(text, end) {
        b']' | b')' | b'}' => true,
        b',' => is_space(at(text, end + 1)),
        _ => false,
    };
    follows && goes_on
}

const SHAPE_GROUPS_MAX: usize = 6;

enum Issuer {
    /// One number in about fifty of this length starts so and has the right check digit.
    Strong,
    /// Many do.
    Weak,
    None,
}

fn issuer(number: &[u8]) -> Issuer {
    let prefix = |length: usize| checks::prefix(number, length);
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    match checks::count(number) {
        16 if matches!(two, 40..=49 | 51..=55) => Issuer::Strong,
        16 if matches!(four, 2200..=2204 | 2221..=2720 | 3528..=3589 | 6011 | 9792) => Issuer::Strong,
        16 if matches!(three, 644..=649) || matches!(two, 35 | 50 | 56..=58 | 60..=69 | 81 | 82) => Issuer::Weak,
        15 if matches!(two, 34 | 37) => Issuer::Strong,
        15 if matches!(four, 1800 | 2131) => Issuer::Weak,
        14 if matches!(three, 300..=305) || matches!(two, 36 | 38 | 39) => Issuer::Weak,
        13 | 19 if matches!(two, 40..=49) => Issuer::Weak,
        12..=19 if matches!(two, 50 | 56..=58 | 60..=69) => Issuer::Weak,
        _ => Issuer::None,
    }
}

/// `4444 4444 …` and the like: nobody's card, though they may pass the check.
fn is_series(number: &[u8]) -> bool {
    let zeros = number.iter().rev().filter(|byte| **byte != b' ' && **byte != b'-').take_while(|byte| **byte == b'0');
    checks::is_one_digit(number) || zeros.count() >= 10
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check;

    #[test]
    fn finds_cards_of_every_issuer_and_grouping() {
        check("paid with «payment-card:4111 1111 1111 1111», thanks");
        check("«payment-card:4111-1111-1111-1111»");
        check("«payment-card:5555555555554444»");
        check("«payment-card:2223003122003222»");
        check("«payment-card:3782 822463 10005»");
        check("card «payment-card:30569309025904»");
        check("my card «payment-card:6759649826438453», not 6759649826438454");
        check("card «payment-card:4222222222222» and 4222222222223");
        check("{\"cc\":\"«payment-card:6011111111111117»\"}");
    }

    #[test]
    fn leaves_numbers_with_a_wrong_digit_prefix_or_neighbour() {
        check("4111 1111 1111 1112");
        check("1234567812345670");
        check("4111 1111-1111 1111");
        check("0.4111111111111111");
        check("4111111111111111.5");
        check("x4111111111111111");
        check("order-4111111111111111");
        check("4111111111111111u64");
        check("others need a word: 6759649826438453");
        check("[\n  2251799813685228, 4111111111111111, 5555555555554444]");
        check("a,«payment-card:4111111111111111»,b\n");
        check("card 0000000000000000 and 4444444444444444");
    }
}
