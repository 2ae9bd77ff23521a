//! Which word does what in a sentence.
//!
//! A few hundred words in a few dozen classes: verbs that give a task, words for an answer, words for mail and money, and
//! so on. They let the classifier see that `compose a ballad` and `write a story` are one construction, so that it
//! recognises tasks nobody wrote into its training data. The words stand in `lexicon.txt`.

use std::sync::LazyLock;

use super::words::hash_word;

/// Slots of the table: a power of two, at least four times the number of words, so that nearly every look-up is one step.
const SLOTS: usize = 4096;

/// Steps a look-up may take; the table is built so that this is enough.
const STEPS_MAX: usize = 16;

macro_rules! classes {
    ($($name:ident),+ $(,)?) => {
        /// What a word does. The last ones are classes by shape, for words the lexicon doesn't have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Class { $(
            #[doc = concat!("Words of the line `", stringify!($name), "`, or words of that shape.")]
            $name
        ),+ }

        impl Class {
            /// Every class in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            fn by_name(name: &str) -> Option<Self> {
                match name { $(stringify!($name) => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

classes!(
    Make,
    Tell,
    Give,
    Seek,
    Judge,
    Change,
    Insert,
    Reply,
    Do,
    Send,
    Solve,
    Push,
    Play,
    Defy,
    Obey,
    Mail,
    ResponseNoun,
    TextNoun,
    LetterNoun,
    Language,
    PromptNoun,
    AiNoun,
    UserNoun,
    Free,
    Ethics,
    Crime,
    Secret,
    Earlier,
    MailNoun,
    MeetNoun,
    CodeNoun,
    I,
    We,
    You,
    Your,
    They,
    What,
    How,
    Can,
    Do_,
    Is,
    Have,
    Please,
    Not,
    The,
    All,
    Prep,
    And,
    Now,
    Thanks,
    Want,
    Get,
    NumberWord,
    Wise,
    Other,
    Name,
    Number,
    Link,
    Address,
    Blob,
    Wide,
    Mark,
);

impl Class {
    /// Whether a sentence that asks somebody to do something may open with such a word.
    pub const fn opens(self) -> bool {
        (self as u8) <= (Self::Obey as u8) || matches!(self, Self::What | Self::How | Self::Can | Self::Please)
    }
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    class: Option<Class>,
}

static TABLE: LazyLock<Vec<Slot>> = LazyLock::new(|| {
    let mut table = vec![Slot { hash: 0, class: None }; SLOTS];
    for line in include_str!("lexicon.txt").lines() {
        let Some((class, words)) = line.split_once(": ") else { continue };
        let Some(class) = Class::by_name(class) else { continue };
        for word in words.split_whitespace() {
            let hash = hash_word(word.as_bytes());
            for step in 0..STEPS_MAX {
                let Some(slot) = table.get_mut((hash as usize + step) % SLOTS) else { break };
                if slot.class.is_none() || slot.hash == hash {
                    // the first line that names a word keeps it
                    if slot.class.is_none() {
                        *slot = Slot { hash, class: Some(class) };
                    }
                    break;
                }
            }
        }
    }
    table
});

/// The class of the word with this hash, if the lexicon has it.
pub(super) fn class(hash: u32) -> Option<Class> {
    let table = &*TABLE;
    for step in 0..STEPS_MAX {
        let slot = table.get((hash as usize + step) % SLOTS)?;
        if slot.hash == hash {
            return slot.class;
        }
        slot.class?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_lexicon_is_known() {
        for line in include_str!("lexicon.txt").lines().filter(|line| !line.starts_with('#')) {
            let (name, words) = line.split_once(": ").expect("a line is `Class: words`");
            assert!(Class::by_name(name).is_some(), "unknown class `{name}`");
            for word in words.split_whitespace() {
                assert!(class(hash_word(word.as_bytes())).is_some(), "`{word}` is not found");
            }
        }
    }

    #[test]
    fn words_have_their_class_whatever_their_case() {
        assert_eq!(class(hash_word(b"Translate")), Some(Class::Change));
        assert_eq!(class(hash_word(b"INVOICE")), Some(Class::MailNoun));
        assert_eq!(class(hash_word(b"quokka")), None);
    }
}
