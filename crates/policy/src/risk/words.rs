//! The words of labels, addresses and names, however they are written: in capitals, run together, percent-encoded,
//! in wide or look-alike letters, with invisible characters in between.

/// Longest text whose words are looked at.
const TEXT_CHARS_MAX: usize = 200_000;

/// A text as its words in lower case, each between blanks.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Words as the text parts them, ` pay now `.
    apart: String,
    /// The same with letters of other alphabets that look Latin as Latin ones; empty where there are none.
    folded: String,
}

impl Words {
    pub(crate) fn new(text: &str) -> Self {
        let apart = split(text, plain);
        let folded = if text.is_ascii() { String::new() } else { split(text, look_alike) };
        Self { apart, folded }
    }

    /// The words of an address, percent-encoding undone.
    pub(crate) fn of_url(url: &str) -> Self {
        let mut bytes = Vec::with_capacity(url.len());
        let mut rest = url.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            let decoded = (*byte == b'%')
                .then(|| after.get(..2))
                .flatten()
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match decoded {
                Some(decoded) => {
                    bytes.push(decoded);
                    rest = after.get(2..).unwrap_or_default();
                }
                None => {
                    bytes.push(*byte);
                    rest = after;
                }
            }
        }
        Self::new(&String::from_utf8_lossy(&bytes))
    }

    /// Whether one of the first words stands at most so many words from one of the second.
    pub(crate) fn near(&self, first: &[&str], second: &[&str], words_max: usize) -> bool {
        let mut last: [Option<usize>; 2] = [None, None];
        let text = if self.folded.is_empty() { &self.apart } else { &self.folded };
        for (at, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
            let [a, b] = &mut last;
            if first.contains(&word) {
                *a = Some(at);
            }
            if second.contains(&word) {
                *b = Some(at);
            }
            if let (Some(a), Some(b)) = (*a, *b)
                && a.abs_diff(b) <= words_max
            {
                return true;
            }
        }
        false
    }

    /// Whether any of these words or phrases is in it.
    pub(crate) fn any(&self, wanted: &[&str]) -> bool {
        wanted.iter().any(|wanted| holds(&self.apart, wanted) || holds(&self.folded, wanted))
    }
}

/// The first answer for one of a name's words, each in lower case: `deleteRepo` is `delete` and `repo`. Allocates
/// nothing; only words of ASCII letters, at most 24 of them, are asked for.
pub(crate) fn each<T>(name: &str, known: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut word = [0_u8; 24];
    let mut length = 0_usize;
    let mut before = 0_u8;
    for byte in name.bytes().take(TEXT_CHARS_MAX).chain([b' ']) {
        let starts = byte.is_ascii_uppercase() && before.is_ascii_lowercase();
        if starts || !byte.is_ascii_alphabetic() {
            let found = word.get(..length).and_then(|word| std::str::from_utf8(word).ok()).and_then(&known);
            if found.is_some() {
                return found;
            }
            length = 0;
        }
        if byte.is_ascii_alphabetic() {
            match word.get_mut(length) {
                Some(place) => *place = byte.to_ascii_lowercase(),
                // Longer than any word of the table; it stays too long until it ends.
                None => length = word.len(),
            }
            length += 1;
        }
        before = byte;
    }
    None
}

fn split(text: &str, letter: fn(char) -> char) -> String {
    let mut words = String::with_capacity(text.len().min(4 * TEXT_CHARS_MAX) + 2);
    words.push(' ');
    let mut before: Option<char> = None;
    for c in text.chars().take(TEXT_CHARS_MAX).filter(|c| !is_invisible(*c)).map(letter) {
        let starts_word = before.is_some_and(|before| {
            c.is_uppercase() && before.is_lowercase()
                || c.is_numeric() != before.is_numeric() && before.is_alphanumeric()
        });
        // In a script without blanks every character is a word of its own; phrases join them again.
        if (starts_word || is_ideographic(c) || !c.is_alphanumeric() && c != '\'') && !words.ends_with(' ') {
            words.push(' ');
        }
        if c.is_alphanumeric() {
            words.extend(c.to_lowercase());
        }
        if is_ideographic(c) {
            words.push(' ');
        }
        before = Some(c);
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
    words
}

fn holds(words: &str, wanted: &str) -> bool {
    let (wanted, open) = match wanted.strip_suffix('*') {
        Some(start) => (start, true),
        None => (wanted, false),
    };
    if wanted.chars().next().is_some_and(is_ideographic) {
        return phrase_of_characters(words, wanted);
    }
    words.match_indices(wanted).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| words.as_bytes().get(at)) == Some(&b' ');
        before && (open || words.as_bytes().get(at + wanted.len()) == Some(&b' '))
    })
}

/// Whether the characters stand in this order, blanks between them aside.
fn phrase_of_characters(text: &str, wanted: &str) -> bool {
    let mut joined = String::with_capacity(text.len());
    joined.extend(text.chars().filter(|c| *c != ' '));
    joined.contains(wanted)
}

fn is_ideographic(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// The plain letter a wide one stands for.
fn plain(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        _ => c,
    }
}

/// The Latin letter a Cyrillic or Greek one is drawn like.
fn look_alike(c: char) -> char {
    match c {
        'а' | 'α' => 'a',
        'А' | 'Α' => 'A',
        'в' | 'В' | 'Β' => 'B',
        'с' | 'ϲ' => 'c',
        'С' => 'C',
        'ԁ' => 'd',
        'е' | 'ε' => 'e',
        'Е' | 'Ε' => 'E',
        'һ' => 'h',
        'Н' | 'Η' => 'H',
        'і' | 'ι' | 'ı' => 'i',
        'І' | 'Ι' => 'I',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'К' | 'Κ' => 'K',
        'ӏ' => 'l',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'о' | 'ο' => 'o',
        'О' | 'Ο' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' => 'P',
        'ѕ' => 's',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'υ' => 'u',
        'ν' => 'v',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' | 'γ' => 'y',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        c => plain(c),
    }
}
