//! Numbers that states give to people, as a table of forms, and the few that have letters.
//!
//! A form that says enough by itself (its separators and its check digits are rare) is found anywhere; the others
//! only beside a word that names them. Scores say which of the two it was.

use super::bytes::{at, number, part};
use super::context::{is_before, is_near};
use super::groups::{Groups, is_end, is_start};
use super::{Found, Kind, checks};

/// One way of writing one number.
struct Form {
    name: &'static str,
    /// See [`Groups::matches`].
    shape: &'static [u8],
    check: fn(&[u8]) -> bool,
    /// The score without any word near; zero says that a word is needed.
    alone: u8,
    words: &'static [&'static str],
}

const fn form(
    name: &'static str,
    shape: &'static [u8],
    check: fn(&[u8]) -> bool,
    alone: u8,
    words: &'static [&'static str],
) -> Form {
    Form { name, shape, check, alone, words }
}

const SSN: &[&str] = &["ssn", "social security", "socialsecurity", "social_security", "soc sec", "ss#", "social"];
const ITIN: &[&str] = &["itin", "taxpayer", "tax id", "ssn"];
const ROUTING: &[&str] = &["routing", "aba", "rtn", "transit"];
const NHS: &[&str] = &["nhs", "national health"];
const PESEL: &[&str] = &["pesel"];
const STEUER: &[&str] = &["steuer", "tax id", "tax number", "idnr", "tin", "steuerid"];
const NIR: &[&str] = &["insee", "sécu", "securite sociale", "sécurité sociale", "nir", "social security"];
const BSN: &[&str] = &["bsn", "burgerservicenummer", "sofi", "citizen service"];
const AADHAAR: &[&str] = &["aadhaar", "aadhar", "adhaar", "uidai", "uid"];
const TFN: &[&str] = &["tfn", "tax file"];
const ABN: &[&str] = &["abn", "business number"];
const MEDICARE: &[&str] = &["medicare"];
const CPF: &[&str] = &["cpf", "cadastro"];
const CNPJ: &[&str] = &["cnpj"];
const SIN: &[&str] = &["sin", "social insurance", "nas", "assurance sociale"];
const SWEDISH: &[&str] = &["personnummer", "personal number", "pnr"];
const NORWEGIAN: &[&str] = &["fødselsnummer", "fodselsnummer", "fnr", "birth number", "personnummer"];
const DANISH: &[&str] = &["cpr", "personnummer"];
const BELGIAN: &[&str] = &["rijksregister", "registre national", "national register", "niss", "insz"];
const AHV: &[&str] = &["ahv", "avs", "social security"];
const KOREAN: &[&str] = &["rrn", "resident registration", "주민"];
const TURKISH: &[&str] = &["kimlik", "tckn", "t.c.", "identity number"];
const SOUTH_AFRICAN: &[&str] = &["id number", "identity number", "south african id", "id no"];
const CHINESE: &[&str] = &["身份证", "resident id", "identity card", "id card"];

const FORMS: &[Form] = &[
    form("us-ssn", b"3-2-4", checks::ssn, 75, SSN),
    form("us-ssn", b"3 2 4", checks::ssn, 0, SSN),
    form("us-ssn", b"9", checks::ssn, 0, SSN),
    form("us-itin", b"3_2_4", checks::itin, 60, ITIN),
    form("us-itin", b"9", checks::itin, 0, ITIN),
    form("us-routing-number", b"9", checks::routing, 0, ROUTING),
    form("uk-nhs", b"3_3_4", checks::nhs, 0, NHS),
    form("uk-nhs", b"a", checks::nhs, 0, NHS),
    form("pl-pesel", b"b", checks::pesel, 0, PESEL),
    form("de-tax-id", b"2 3 3 3", checks::mod_11_10, 0, STEUER),
    form("de-tax-id", b"b", checks::mod_11_10, 0, STEUER),
    form("fr-nir", b"1 2 2 2 3 3 2", checks::nir, 90, NIR),
    form("fr-nir", b"d 2", checks::nir, 80, NIR),
    form("fr-nir", b"f", checks::nir, 0, NIR),
    form("nl-bsn", b"9", checks::bsn, 0, BSN),
    form("nl-bsn", b"4.2.3", checks::bsn, 60, BSN),
    form("nl-bsn", b"3_3_3", checks::bsn, 0, BSN),
    form("in-aadhaar", b"4_4_4", checks::aadhaar, 0, AADHAAR),
    form("in-aadhaar", b"c", checks::aadhaar, 0, AADHAAR),
    form("au-tfn", b"3_3_3", checks::tfn, 0, TFN),
    form("au-tfn", b"9", checks::tfn, 0, TFN),
    form("au-abn", b"2 3 3 3", checks::abn, 60, ABN),
    form("au-abn", b"b", checks::abn, 0, ABN),
    form("au-medicare", b"4_5_1", checks::medicare, 55, MEDICARE),
    form("au-medicare", b"a", checks::medicare, 0, MEDICARE),
    form("br-cpf", b"3.3.3-2", checks::cpf, 90, CPF),
    form("br-cpf", b"b", checks::cpf, 0, CPF),
    form("br-cnpj", b"2.3.3/4-2", checks::cnpj, 95, CNPJ),
    form("br-cnpj", b"e", checks::cnpj, 0, CNPJ),
    form("ca-sin", b"3_3_3", checks::sin, 0, SIN),
    form("ca-sin", b"9", checks::sin, 0, SIN),
    form("se-personnummer", b"6-4", checks::date_then_luhn, 60, SWEDISH),
    form("se-personnummer", b"8-4", checks::date_then_luhn, 75, SWEDISH),
    form("se-personnummer", b"a", checks::date_then_luhn, 0, SWEDISH),
    form("se-personnummer", b"c", checks::date_then_luhn, 0, SWEDISH),
    form("no-fodselsnummer", b"6 5", checks::norwegian, 60, NORWEGIAN),
    form("no-fodselsnummer", b"b", checks::norwegian, 0, NORWEGIAN),
    form("dk-cpr", b"6-4", checks::starts_with_day_and_month, 0, DANISH),
    form("dk-cpr", b"a", checks::starts_with_day_and_month, 0, DANISH),
    form("be-national-number", b"2.2.2-3.2", checks::belgian, 95, BELGIAN),
    form("be-national-number", b"b", checks::belgian, 0, BELGIAN),
    form("ch-ahv", b"3.4.4.2", checks::ahv, 95, AHV),
    form("ch-ahv", b"d", checks::ahv, 0, AHV),
    form("kr-rrn", b"6-7", checks::korean, 65, KOREAN),
    form("tr-identity-number", b"b", checks::turkish, 0, TURKISH),
    form("za-id", b"6 4 3", checks::date_then_luhn, 60, SOUTH_AFRICAN),
    form("za-id", b"d", checks::date_then_luhn, 0, SOUTH_AFRICAN),
    form("cn-resident-id", b"i", checks::chinese, 80, CHINESE),
];

/// Every name of such a number, for the table of kinds.
pub(super) const NAMES: &[&str] = &[
    "us-ssn",
    "us-itin",
    "us-routing-number",
    "uk-nhs",
    "uk-nino",
    "pl-pesel",
    "de-tax-id",
    "fr-nir",
    "nl-bsn",
    "in-aadhaar",
    "in-pan",
    "au-tfn",
    "au-abn",
    "au-medicare",
    "br-cpf",
    "br-cnpj",
    "ca-sin",
    "se-personnummer",
    "no-fodselsnummer",
    "dk-cpr",
    "fi-hetu",
    "be-national-number",
    "ch-ahv",
    "kr-rrn",
    "tr-identity-number",
    "za-id",
    "cn-resident-id",
    "es-nif",
    "es-nie",
    "it-fiscal-code",
    "sg-nric",
    "mx-curp",
];

/// A number of digits that starts with this group.
pub(super) fn find(text: &[u8], groups: &Groups, first: usize) -> Option<Found> {
    let mut weaker: Option<Found> = None;
    // Each shape begins with the length of a first group, which rules out nearly all of them.
    let opening = match u8::try_from(groups.digits(first)) {
        Ok(digits @ 1..=9) => b'0' + digits,
        Ok(digits @ 10..=35) => b'a' + (digits - 10),
        _ => return finnish(text, groups.range(first).start),
    };
    for form in FORMS.iter().filter(|form| form.shape.first() == Some(&opening)) {
        let Some(span) = groups.matches(text, first, form.shape) else { continue };
        if !(form.check)(part(text, span.clone())) {
            continue;
        }
        // Named outright beats every form, and the first form beats later ones.
        if is_near(text, span.start, span.end, form.words) {
            return Some(Found { kind: Kind::National(form.name), score: 95, span });
        }
        if form.alone > weaker.as_ref().map_or(0, |found| found.score) {
            weaker = Some(Found { kind: Kind::National(form.name), score: form.alone, span });
        }
    }
    weaker.or_else(|| finnish(text, groups.range(first).start))
}

/// Whether a number of this kind has its check; none if it is no such kind.
pub(super) fn is_valid(kind: &str, text: &[u8]) -> Option<bool> {
    let word: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    Some(match kind {
        "es-nif" | "es-nie" => spanish(&word),
        "sg-nric" => singapore(&word),
        "in-pan" => is_pan(&word),
        "it-fiscal-code" => italian(&word),
        "mx-curp" => curp(&word),
        "fi-hetu" => finnish(text, 0).is_some(),
        "uk-nino" => nino(text, 0, text.len().min(9)).is_some(),
        "cn-resident-id" => checks::chinese(text),
        _ => FORMS.iter().find(|form| form.name == kind).map(|form| (form.check)(text))?,
    })
}

/// A number with letters in it that starts with this word.
pub(super) fn find_mixed(text: &[u8], start: usize, end: usize) -> Option<Found> {
    let word = part(text, start..end);
    let found = |name, score, end| Some(Found { kind: Kind::National(name), score, span: start..end });
    if !is_start(text, start) {
        return None;
    }
    if let Some((end, score)) = nino(text, start, end) {
        return found("uk-nino", score, end);
    }
    if !is_end(text, end) {
        return None;
    }
    let shape = |index: usize| at(word, index);
    match word.len() {
        9 if shape(8).is_ascii_uppercase() => {
            let name = if shape(0).is_ascii_uppercase() { "es-nie" } else { "es-nif" };
            if spanish(word) {
                let score =
                    if is_near(text, start, end, &["nif", "nie", "dni", "documento", "fiscal"]) { 95 } else { 55 };
                return found(name, score, end);
            }
            if singapore(word) { found("sg-nric", 80, end) } else { None }
        }
        10 if is_pan(word) => {
            let score = if is_near(text, start, end, &["pan", "permanent account", "income tax"]) { 95 } else { 60 };
            found("in-pan", score, end)
        }
        11 => finnish(text, start),
        16 if italian(word) => found("it-fiscal-code", 95, end),
        18 if curp(word) => found("mx-curp", 95, end),
        18 if shape(17).eq_ignore_ascii_case(&b'X') && checks::chinese(word) => found("cn-resident-id", 85, end),
        _ => None,
    }
}

/// `AB 12 34 56 C`, from its first digits.
pub(super) fn find_spaced(text: &[u8], start: usize) -> Option<Found> {
    let first = start.checked_sub(3).filter(|first| is_start(text, *first))?;
    let (end, score) = nino(text, first, first + 2)?;
    Some(Found { kind: Kind::National("uk-nino"), score, span: first..end })
}

/// Two letters, six digits, one letter: `AB123456C` or `AB 12 34 56 C`.
fn nino(text: &[u8], start: usize, end: usize) -> Option<(usize, u8)> {
    const WORDS: &[&str] = &["nino", "national insurance", "ni number", "insurance no", "ni no"];
    let (first, second) = (at(text, start), at(text, start + 1));
    let is_prefix = first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && !matches!(
            [first, second],
            [b'B', b'G'] | [b'G', b'B'] | [b'K', b'N'] | [b'N', b'K' | b'T'] | [b'T', b'N'] | [b'Z', b'Z']
        );
    if !is_prefix {
        return None;
    }
    let (mut index, mut digits) = (start + 2, 0);
    let is_spaced = at(text, index) == b' ' || end - start == 4;
    while digits < 6 {
        if is_spaced && at(text, index) == b' ' && digits % 2 == 0 {
            index += 1;
        }
        if !at(text, index).is_ascii_digit() {
            return None;
        }
        digits += 1;
        index += 1;
    }
    if is_spaced && at(text, index) == b' ' {
        index += 1;
    }
    if !matches!(at(text, index), b'A'..=b'D') || !is_end(text, index + 1) {
        return None;
    }
    Some((index + 1, if is_near(text, start, index, WORDS) { 95 } else { 65 }))
}

const SPANISH_LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Spanish NIF and NIE: the letter is the number modulo 23, `X`, `Y`, `Z` count as 0, 1, 2.
fn spanish(word: &[u8]) -> bool {
    let first = match at(word, 0) {
        letter @ b'X'..=b'Z' => u32::from(letter - b'X'),
        digit @ b'0'..=b'9' => u32::from(digit - b'0'),
        _ => return false,
    };
    let rest = number(part(word, 1..8));
    rest.is_some_and(|rest| {
        let value = first * 10_000_000 + rest;
        rest > 0 && at(SPANISH_LETTERS, (value % 23) as usize) == at(word, 8)
    })
}

/// `12345678-Z`.
pub(super) fn find_hyphened(text: &[u8], start: usize, end: usize) -> Option<Found> {
    let mut word = [0_u8; 9];
    let (digits, letter) = word.split_at_mut(8);
    if end - start != 8 || at(text, end) != b'-' || !is_start(text, start) || !is_end(text, end + 2) {
        return None;
    }
    digits.copy_from_slice(part(text, start..end));
    letter.fill(at(text, end + 1));
    spanish(&word).then(|| Found { kind: Kind::National("es-nif"), score: 75, span: start..end + 2 })
}

/// Singapore: a letter of the series, seven digits, a letter that checks them.
fn singapore(word: &[u8]) -> bool {
    const WEIGHTS: [u32; 7] = [2, 7, 6, 5, 4, 3, 2];
    let (offset, letters): (u32, &[u8]) = match at(word, 0) {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    let digits = part(word, 1..8);
    let mut index = ((checks::weighted(digits, &WEIGHTS) + offset) % 11) as usize;
    if at(word, 0) == b'M' {
        index = 10 - index;
    }
    digits.iter().all(u8::is_ascii_digit) && at(letters, index) == at(word, 8)
}

/// Indian permanent account number; the fourth letter is the kind of holder.
fn is_pan(word: &[u8]) -> bool {
    part(word, 0..5).iter().all(u8::is_ascii_uppercase)
        && b"PCHFATBLJG".contains(&at(word, 3))
        && part(word, 5..9).iter().all(u8::is_ascii_digit)
        && at(word, 9).is_ascii_uppercase()
}

/// Finnish identity code: a date, the century's sign, three digits, and a sign that is all nine modulo 31.
fn finnish(text: &[u8], start: usize) -> Option<Found> {
    const SIGNS: &[u8] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let is_form = matches!(at(text, start + 6), b'-' | b'+' | b'A'..=b'F' | b'U'..=b'Y')
        && is_start(text, start)
        && is_end(text, start + 11)
        && checks::starts_with_day_and_month(part(text, start..start + 4));
    let value = number(part(text, start..start + 6))? * 1000 + number(part(text, start + 7..start + 10))?;
    let is_right = is_form && at(SIGNS, (value % 31) as usize) == at(text, start + 10).to_ascii_uppercase();
    let score =
        if is_right && is_before(text, start, 48, &["hetu", "henkilötunnus", "personal identity"]) { 95 } else { 65 };
    is_right.then_some(Found { kind: Kind::National("fi-hetu"), score, span: start..start + 11 })
}

/// Italian fiscal code: sixteen signs of which the last is a sum over two tables.
fn italian(word: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    const FORM: &[u8; 16] = b"LLLLLLDDLDDLDDDL";
    let fits = word.iter().zip(FORM).all(|(byte, form)| match form {
        b'L' => byte.is_ascii_alphabetic(),
        // Digits of two people with one code are replaced by letters.
        _ => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(&byte.to_ascii_uppercase()),
    });
    let value = |byte: u8| match byte {
        b'0'..=b'9' => usize::from(byte - b'0'),
        letter => usize::from(letter.to_ascii_uppercase().saturating_sub(b'A')),
    };
    let sum: u32 = part(word, 0..15)
        .iter()
        .enumerate()
        .map(|(index, byte)| match index % 2 {
            0 => ODD.get(value(*byte)).copied().unwrap_or(0),
            _ => u32::try_from(value(*byte)).unwrap_or(0),
        })
        .sum();
    fits && at(word, 15).to_ascii_uppercase() == b'A' + (sum % 26) as u8
}

/// Mexican CURP: letters of the name, a date, sex, state, consonants, a sign and a check digit.
fn curp(word: &[u8]) -> bool {
    const SIGNS: &[u8] = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ".as_bytes();
    let value = |byte: u8| SIGNS.iter().position(|sign| *sign == byte);
    let sum: usize =
        part(word, 0..17).iter().enumerate().map(|(index, byte)| value(*byte).unwrap_or(0) * (18 - index)).sum();
    part(word, 0..4).iter().all(u8::is_ascii_uppercase)
        && part(word, 4..10).iter().all(u8::is_ascii_digit)
        && matches!(at(word, 10), b'H' | b'M' | b'X')
        && part(word, 11..16).iter().all(u8::is_ascii_uppercase)
        && u32::from(at(word, 17).wrapping_sub(b'0')) == ((10 - sum % 10) % 10) as u32
}

#[cfg(test)]
mod tests {
    use crate::personal::testing::check;

    #[test]
    fn finds_forms_that_say_enough_alone() {
        check("«us-ssn:536-90-4399»");
        check("«us-itin:912-71-2345»");
        check("«br-cpf:529.982.247-25»");
        check("«br-cnpj:11.222.333/0001-81»");
        check("«fr-nir:1 85 05 78 006 084 91»");
        check("«es-nif:12345678Z» «es-nie:X1234567L» «es-nif:12345678-Z»");
        check("«it-fiscal-code:RSSMRA85T10A562S»");
        check("«uk-nino:AB123456C» and «uk-nino:AB 12 34 56 C»");
        check("«sg-nric:S1234567D»");
        check("«be-national-number:85.07.30-033.28»");
        check("«ch-ahv:756.9217.0769.85»");
        check("«fi-hetu:131052-308T»");
        check("«mx-curp:HEGG560427MVZRRL04»");
        check("«cn-resident-id:11010519491231002X»");
    }

    #[test]
    fn finds_bare_numbers_beside_their_name_only() {
        for (named, bare) in [
            ("ssn «us-ssn:536904399»", "536904399"),
            ("NHS number: «uk-nhs:943 476 5919»", "id 943 476 5919 x"),
            ("PESEL «pl-pesel:44051401359»", "44051401359"),
            ("Steuer-ID: «de-tax-id:86095742719»", "86095742719"),
            ("BSN «nl-bsn:111222333»", "111222333"),
            ("Aadhaar «in-aadhaar:2345 6789 0124»", "2345 6789 0124"),
            ("TFN: «au-tfn:123 456 782»", "123 456 782"),
            ("ABN «au-abn:51824753556»", "51824753556"),
            ("SIN «ca-sin:130 692 544»", "130 692 544"),
            ("routing «us-routing-number:021000021»", "021000021"),
        ] {
            check(named);
            check(bare);
        }
    }

    #[test]
    fn leaves_numbers_with_a_wrong_check() {
        check("000-12-3456 666-12-3456 123-00-4567 123-45-0000 123-45-6789");
        check("529.982.247-26");
        check("12345678A");
        check("RSSMRA85T10A562T");
        check("S1234567A");
        check("131052-308S");
        check("PESEL 44051401358");
        check("HEGG560427MVZRRL05");
    }
}
