//! Placeholders: what the box holds in a secret's stead. Unique for each run and secret, recognisable, made of letters
//! that stand unchanged in headers, URLs, JSON and shells.

pub(crate) use bartizan_scan::PLACEHOLDER_PREFIX as PREFIX;

/// Random bytes: nobody guesses another's.
const RANDOM_BYTES: usize = bartizan_scan::PLACEHOLDER_DIGITS / 2;

/// One placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder(String);

impl Placeholder {
    /// A new one for the secret of this name.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn make(name: &str) -> Result<Self, getrandom::Error> {
        let mut random = [0_u8; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let mut text = PREFIX.to_owned();
        text.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }));
        text.push('-');
        random.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The placeholders in a text, known or not: where they begin and end. Each is as long as its letters go.
pub(crate) fn find(text: &[u8]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    memchr::memmem::find_iter(text, PREFIX.as_bytes()).map(|start| {
        let letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let length = text.get(start..).unwrap_or_default().iter().take_while(|byte| letter(byte)).count();
        start..start + length
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_unique_and_found() {
        let (one, other) = (Placeholder::make("GITHUB_TOKEN").unwrap(), Placeholder::make("GITHUB_TOKEN").unwrap());
        assert_ne!(one, other);
        assert!(one.as_str().starts_with("bartizan-secret-github-token-"), "{one:?}");
        let text = format!("Bearer {}, {}", one.as_str(), other.as_str());
        let found: Vec<&str> = find(text.as_bytes()).map(|span| &text[span]).collect();
        assert_eq!(found, [one.as_str(), other.as_str()]);
    }
}
