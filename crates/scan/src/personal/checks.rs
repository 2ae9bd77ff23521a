//! The check digits that national and banking numbers carry, as their issuers publish them.
//!
//! Each takes the number as written, separators and all, and has been given the right count of digits by its form.

use super::bytes::digits;

/// ISO/IEC 7812-1: cards, Canadian SIN, Swedish personal numbers, South African ids.
pub(super) fn luhn(text: &[u8]) -> bool {
    let sum: u32 = digits(text)
        .rev()
        .enumerate()
        .map(|(index, digit)| match index % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 7064 mod 97-10 over digits and letters (A = 10), with the first four moved to the end: IBAN.
pub(super) fn iban(text: &[u8]) -> bool {
    let clean = || text.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let rest = clean().skip(4).chain(clean().take(4)).fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    rest == 1
}

/// The sum of each digit times its weight.
pub(super) fn weighted(text: &[u8], weights: &[u32]) -> u32 {
    digits(text).zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// Whether all digits are the same; such numbers pass many checks and belong to nobody.
pub(super) fn is_one_digit(text: &[u8]) -> bool {
    let mut all = digits(text);
    let first = all.next();
    all.all(|digit| Some(digit) == first)
}

/// In place of a digit that is not there: no day, month or check is as large.
const NONE: u32 = 99;

fn digit(text: &[u8], index: usize) -> u32 {
    digits(text).nth(index).unwrap_or(NONE)
}

/// Verhoeff's dihedral check, as UIDAI uses it for Aadhaar numbers.
pub(super) fn verhoeff(text: &[u8]) -> bool {
    const PERMUTED: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    // Multiplication in the dihedral group of ten elements, by rule rather than by table.
    fn times(left: u32, right: u32) -> u32 {
        match (left < 5, right < 5) {
            (true, true) => (left + right) % 5,
            (true, false) => 5 + (left + right - 5) % 5,
            (false, true) => 5 + (left + 5 - right) % 5,
            (false, false) => (left + 5 - right) % 5,
        }
    }
    let permuted = |digit: u32, times: usize| {
        (0..times % 8).fold(digit, |digit, _| PERMUTED.get(digit as usize).copied().unwrap_or(0))
    };
    digits(text).rev().enumerate().fold(0, |check, (index, digit)| times(check, permuted(digit, index))) == 0
}

/// ISO 7064 mod 11,10: German tax id.
pub(super) fn mod_11_10(text: &[u8]) -> bool {
    let count = digits(text).count();
    let product = digits(text).take(count.saturating_sub(1)).fold(10, |product, digit| {
        let sum = match (digit + product) % 10 {
            0 => 10,
            sum => sum,
        };
        (sum * 2) % 11
    });
    (11 - product) % 10 == digit(text, count.saturating_sub(1))
}

/// UK NHS number.
pub(super) fn nhs(text: &[u8]) -> bool {
    let check = 11 - weighted(text, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check != 10 && check % 11 == digit(text, 9) && !is_one_digit(text)
}

/// Dutch citizen service number: the eleven test.
pub(super) fn bsn(text: &[u8]) -> bool {
    let sum = weighted(text, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum % 11 == digit(text, 8) % 11 && !is_one_digit(text)
}

/// Polish PESEL, whose first six digits are a date with the century in the month.
pub(super) fn pesel(text: &[u8]) -> bool {
    let sum = weighted(text, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    let month = (digit(text, 2) * 10 + digit(text, 3)) % 20;
    sum.is_multiple_of(10) && (1..=12).contains(&month) && is_day(digit(text, 4) * 10 + digit(text, 5))
}

fn is_day(day: u32) -> bool {
    (1..=31).contains(&day)
}

/// Brazilian CPF: two check digits.
pub(super) fn cpf(text: &[u8]) -> bool {
    let first = weighted(text, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10 % 11 % 10;
    let second = weighted(text, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10 % 11 % 10;
    first == digit(text, 9) && second == digit(text, 10) && !is_one_digit(text)
}

/// Brazilian CNPJ, the form of fourteen digits.
pub(super) fn cnpj(text: &[u8]) -> bool {
    let check = |sum: u32| if sum % 11 < 2 { 0 } else { 11 - sum % 11 };
    check(weighted(text, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(text, 12)
        && check(weighted(text, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == digit(text, 13)
        && !is_one_digit(text)
}

/// Canadian social insurance number; none starts with 0 or 8.
pub(super) fn sin(text: &[u8]) -> bool {
    luhn(text) && !matches!(digit(text, 0), 0 | 8) && !is_one_digit(text)
}

/// Australian tax file number.
pub(super) fn tfn(text: &[u8]) -> bool {
    weighted(text, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) && !is_one_digit(text)
}

/// Australian business number: one is taken off the first digit.
pub(super) fn abn(text: &[u8]) -> bool {
    let sum = weighted(text, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    digit(text, 0) > 0 && (sum - 10).is_multiple_of(89)
}

/// Australian Medicare card.
pub(super) fn medicare(text: &[u8]) -> bool {
    (2..=6).contains(&digit(text, 0)) && weighted(text, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == digit(text, 8)
}

/// French social security number with its key; Corsica's `2A` and `2B` are not in the form of digits only.
pub(super) fn nir(text: &[u8]) -> bool {
    let number = digits(text).take(13).fold(0_u64, |number, digit| number * 10 + u64::from(digit));
    let key = u64::from(digit(text, 13) * 10 + digit(text, 14));
    let month = digit(text, 3) * 10 + digit(text, 4);
    matches!(digit(text, 0), 1 | 2) && (1..=42).contains(&month) && 97 - number % 97 == key
}

/// Belgian national register number, for both centuries.
pub(super) fn belgian(text: &[u8]) -> bool {
    let number = digits(text).take(9).fold(0_u64, |number, digit| number * 10 + u64::from(digit));
    let key = u64::from(digit(text, 9) * 10 + digit(text, 10));
    let is_key = |number: u64| 97 - number % 97 == key;
    digit(text, 2) < 2
        && is_day(digit(text, 4) * 10 + digit(text, 5))
        && (is_key(number) || is_key(number + 2_000_000_000))
}

/// Norwegian birth number: a date and two check digits.
pub(super) fn norwegian(text: &[u8]) -> bool {
    is_day((digit(text, 0) * 10 + digit(text, 1)) % 40)
        && weighted(text, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(text, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Day and month first, as the Danish CPR number and the Finnish identity code have them.
pub(super) fn starts_with_day_and_month(text: &[u8]) -> bool {
    is_day(digit(text, 0) * 10 + digit(text, 1)) && (1..=12).contains(&(digit(text, 2) * 10 + digit(text, 3)))
}

/// Year, month and day first, then Luhn: Swedish and South African numbers.
pub(super) fn date_then_luhn(text: &[u8]) -> bool {
    let count = digits(text).count();
    // Twelve digits have the century, which is no part of the check.
    let skipped = if count == 12 { 2 } else { 0 };
    let clean: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).skip(skipped).collect();
    (1..=12).contains(&(digit(&clean, 2) * 10 + digit(&clean, 3)))
        && is_day((digit(&clean, 4) * 10 + digit(&clean, 5)) % 60)
        && luhn(&clean)
}

/// Swiss AHV number, an EAN-13 with the country's prefix.
pub(super) fn ahv(text: &[u8]) -> bool {
    digits(text).take(3).eq([7, 5, 6]) && weighted(text, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// Korean resident registration number; those issued since October 2020 have no check digit, so only the date counts.
pub(super) fn korean(text: &[u8]) -> bool {
    (1..=12).contains(&(digit(text, 2) * 10 + digit(text, 3)))
        && is_day(digit(text, 4) * 10 + digit(text, 5))
        && (1..=8).contains(&digit(text, 6))
}

/// Turkish identity number.
pub(super) fn turkish(text: &[u8]) -> bool {
    let odd: u32 = (0..9).step_by(2).map(|index| digit(text, index)).sum();
    let even: u32 = (1..8).step_by(2).map(|index| digit(text, index)).sum();
    let all: u32 = digits(text).take(10).sum();
    digit(text, 0) > 0 && (odd * 7 + 100 - even) % 10 == digit(text, 9) && all % 10 == digit(text, 10)
}

/// American bank routing number.
pub(super) fn routing(text: &[u8]) -> bool {
    weighted(text, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && matches!(digit(text, 0) * 10 + digit(text, 1), 1..=12 | 21..=32 | 61..=72 | 80)
}

/// American social security number: no area 000, 666 or 9xx, no group 00, no serial 0000, none of the famous samples.
pub(super) fn ssn(text: &[u8]) -> bool {
    let area = digits(text).take(3).fold(0, |area, digit| area * 10 + digit);
    let group = digit(text, 3) * 10 + digit(text, 4);
    let serial = digits(text).skip(5).fold(0, |serial, digit| serial * 10 + digit);
    let is_sample = digits(text).eq([0, 7, 8, 0, 5, 1, 1, 2, 0]) || digits(text).eq([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0 && !is_sample && !is_one_digit(text)
}

/// American individual taxpayer number: area 9xx and one of the groups that were given out.
pub(super) fn itin(text: &[u8]) -> bool {
    let group = digit(text, 3) * 10 + digit(text, 4);
    digit(text, 0) == 9 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// Indian Aadhaar number.
pub(super) fn aadhaar(text: &[u8]) -> bool {
    digit(text, 0) >= 2 && verhoeff(text)
}

/// How many digits there are.
pub(super) fn count(text: &[u8]) -> usize {
    digits(text).count()
}

/// The number that the first digits make.
pub(super) fn prefix(text: &[u8], length: usize) -> u32 {
    digits(text).take(length).fold(0, |number, digit| number * 10 + digit)
}

/// Chinese resident number: seventeen digits with a date, and ISO 7064 mod 11-2, where ten is written `X`.
pub(super) fn chinese(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let is_form = text.len() == 18 && text.iter().take(17).all(u8::is_ascii_digit);
    let year = digits(text).skip(6).take(4).fold(0, |year, digit| year * 10 + digit);
    let month = digit(text, 10) * 10 + digit(text, 11);
    let sign = match text.last() {
        Some(b'X' | b'x') => 10,
        Some(byte) => u32::from(byte.wrapping_sub(b'0')),
        None => return false,
    };
    let first: Vec<u8> = text.iter().copied().take(17).collect();
    is_form
        && (1900..2100).contains(&year)
        && (1..=12).contains(&month)
        && is_day(digit(text, 12) * 10 + digit(text, 13))
        && (12 - weighted(&first, &WEIGHTS) % 11) % 11 == sign
}
