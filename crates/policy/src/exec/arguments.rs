//! Arguments as rules see them: those of a program that is being started, all known, and those of a command in
//! shell text, where a word may be computed while the text runs.

use super::shell::{Form, Word};
use crate::pattern::Wildcard;

/// One argument, or what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Argument<'a> {
    pub(crate) text: &'a str,
    pub(crate) form: Form,
}

impl<'a> Argument<'a> {
    pub(crate) fn exact(self) -> Option<&'a str> {
        (self.form == Form::Known).then_some(self.text)
    }

    /// Whether it surely is no option: it starts with something else than a dash.
    pub(crate) fn is_operand(self) -> bool {
        match self.form {
            Form::Known => !self.text.starts_with('-') || self.text == "-",
            Form::One | Form::Many => !self.text.is_empty() && !self.text.starts_with('-'),
        }
    }
}

/// A program's arguments, `argv[0]` left out.
pub(crate) trait Arguments {
    fn at(&self, index: usize) -> Option<Argument<'_>>;
    fn count(&self) -> usize;
    /// Whether none of them is computed.
    fn all_known(&self) -> bool;
}

impl Arguments for [String] {
    fn at(&self, index: usize) -> Option<Argument<'_>> {
        self.get(index).map(|text| Argument { text, form: Form::Known })
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn all_known(&self) -> bool {
        true
    }
}

impl Arguments for [Word] {
    fn at(&self, index: usize) -> Option<Argument<'_>> {
        self.get(index).map(|word| Argument { text: &word.text, form: word.form })
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn all_known(&self) -> bool {
        self.iter().all(|word| word.form == Form::Known)
    }
}

/// One step of a word pattern.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// One argument of this form.
    One(Wildcard),
    /// Any number of arguments, none included.
    Rest,
}

/// Whether the arguments are sure to fit; only the last `**` is ever taken back.
pub(crate) fn fits(pattern: &[Step], arguments: &(impl Arguments + ?Sized)) -> bool {
    let (mut at, mut next) = (0_usize, 0_usize);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let fits = match (pattern.get(next), arguments.at(at)) {
            (None, None) => return true,
            (Some(Step::Rest), _) => {
                retry = Some((next, at));
                next += 1;
                continue;
            }
            (Some(Step::One(wildcard)), Some(argument)) => match argument.form {
                Form::Known => wildcard.matches(argument.text.as_bytes(), false),
                Form::One => wildcard.is_any(),
                Form::Many => false,
            },
            _ => false,
        };
        match retry {
            _ if fits => {
                at += 1;
                next += 1;
            }
            Some((rest, from)) if from < arguments.count() => {
                retry = Some((rest, from + 1));
                at = from + 1;
                next = rest + 1;
            }
            _ => return false,
        }
    }
}

/// Whether the arguments could fit, whatever their computed words turn out to be. A table over steps and
/// arguments; only commands in shell text come here.
pub(crate) fn could_fit(pattern: &[Step], arguments: &(impl Arguments + ?Sized)) -> bool {
    // `open[step]`: the pattern's first steps can have been used up by the arguments so far.
    let mut open = vec![false; pattern.len() + 1];
    let skip_rests = |open: &mut Vec<bool>| {
        for (step, rest) in pattern.iter().enumerate() {
            if matches!(rest, Step::Rest) && open.get(step) == Some(&true) {
                set(open, step + 1);
            }
        }
    };
    set(&mut open, 0);
    skip_rests(&mut open);
    for index in 0..arguments.count() {
        let Some(argument) = arguments.at(index) else { break };
        // Many words may be none.
        let mut following = if argument.form == Form::Many { open.clone() } else { vec![false; pattern.len() + 1] };
        for (step, wanted) in pattern.iter().enumerate() {
            let reached =
                open.get(step) == Some(&true) || (argument.form == Form::Many && following.get(step) == Some(&true));
            if !reached {
                continue;
            }
            match wanted {
                Step::Rest => set(&mut following, step),
                Step::One(wildcard)
                    if argument.form != Form::Known || wildcard.matches(argument.text.as_bytes(), false) =>
                {
                    set(&mut following, step + 1);
                }
                Step::One(_) => {}
            }
        }
        open = following;
        skip_rests(&mut open);
    }
    open.last() == Some(&true)
}

fn set(open: &mut [bool], step: usize) {
    if let Some(slot) = open.get_mut(step) {
        *slot = true;
    }
}
