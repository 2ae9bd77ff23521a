//! International bank account numbers (ISO 13616): the country's length and the check of ISO 7064.

use super::bytes::{at, number, part, run_end};
use super::context::is_near;
use super::groups::{is_end, is_start};
use super::{Found, Kind, checks};

/// Country and length, five bytes each, from the public IBAN registry.
const LENGTHS: &[u8] = b"\
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
    EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 \
    JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 \
    NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 \
    TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 ";

const WORDS: &[&str] =
    &["iban", "account", "bank", "transfer", "konto", "compte", "cuenta", "conto", "rekening", "bic"];

/// The account number that starts with this word.
pub(super) fn find(text: &[u8], start: usize) -> Option<Found> {
    let country = [at(text, start).to_ascii_uppercase(), at(text, start + 1).to_ascii_uppercase()];
    let looks_right = at(text, start + 2).is_ascii_digit() && at(text, start + 3).is_ascii_digit();
    if !looks_right || !is_start(text, start) {
        return None;
    }
    let entry = LENGTHS.chunks(5).find(|entry| entry.starts_with(&country))?;
    let length = usize::try_from(number(part(entry, 2..4))?).ok()?;
    let end = end(text, start, length)?;
    let written = part(text, start..end);
    if !is_end(text, end) || !checks::iban(written) {
        return None;
    }
    let score = if is_near(text, start, end, WORDS) {
        99
    } else if written.iter().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()) {
        // One in a hundred of the digests that start so would pass.
        return None;
    } else {
        90
    };
    Some(Found { kind: Kind::Iban, score, span: start..end })
}

/// Where so many letters and digits end, written as one word or in groups of four.
fn end(text: &[u8], start: usize, length: usize) -> Option<usize> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric();
    let word = run_end(text, start, length + 1, is_part);
    match word - start {
        whole if whole == length => return Some(word),
        4 => {}
        _ => return None,
    }
    let separator = at(text, word);
    let (mut end, mut found) = (word, 4);
    while found < length {
        if !matches!(separator, b' ' | b'-') || at(text, end) != separator {
            return None;
        }
        let group = run_end(text, end + 1, 5, is_part) - (end + 1);
        if group != (length - found).min(4) {
            return None;
        }
        end += 1 + group;
        found += group;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check;

    #[test]
    fn finds_ibans_whole_and_grouped() {
        check("pay to «iban:GB82WEST12345698765432».");
        check("pay to «iban:GB82 WEST 1234 5698 7654 32» today");
        check("«iban:DE89370400440532013000»");
        check("iban «iban:nl91abna0417164300»");
    }

    #[test]
    fn leaves_what_fails_the_check_or_the_length() {
        check("GB82WEST12345698765433");
        check("DE8937040044053201300");
        check("xDE89370400440532013000");
        check("ZZ89370400440532013000");
    }
}
