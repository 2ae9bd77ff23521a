//! What verification looks at: the files of a ledger, a copy or an export, as they stood at one moment.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use bartizan_crypto::{Checkpoint, PublicKey};

use crate::checkpoints::Reader;
use crate::head::{self, Head};
use crate::layout::{self, Layout};
use crate::scan::Segment;
use crate::verify::WitnessState;
use crate::{export, witness};

/// Everything that is looked at, as it stood at one moment.
pub(crate) struct Input {
    pub(crate) names: Vec<String>,
    pub(crate) segments: Vec<Segment>,
    /// The first segment that should be there and isn't.
    pub(crate) missing: Option<u32>,
    pub(crate) head: Option<Head>,
    pub(crate) checkpoints: Option<Reader<BufReader<File>>>,
    pub(crate) extra: Vec<(&'static str, Checkpoint)>,
    pub(crate) problems: Vec<String>,
    /// Problems only a crash excuses.
    pub(crate) crash_problems: Vec<String>,
    pub(crate) witness: WitnessState,
}

impl Input {
    pub(crate) fn of_directory(layout: &Layout, key: &PublicKey, witness: Option<&Path>) -> io::Result<Self> {
        let mut input = Self::empty();
        let numbers = layout.segments()?;
        input.missing =
            (1..).zip(&numbers).find(|(expected, number)| expected != *number).map(|(expected, _)| expected);
        for number in numbers.into_iter().take_while(|number| input.missing.is_none_or(|missing| *number < missing)) {
            let file = File::open(layout.segment(number))?;
            let length = file.metadata()?.len();
            input.names.push(format!("{number:08}.jsonl"));
            input.segments.push(Segment { number, file, length });
        }
        match File::open(layout.head()) {
            Ok(file) => input.head = head::read(&file, key)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        match &input.head {
            Some(head) => input.extra.push(("the head", head.checkpoint.clone())),
            None if input.segments.is_empty() => {}
            None => input.crash_problems.push("the head is missing, damaged, or made with another key".to_owned()),
        }
        match File::open(layout.checkpoints()) {
            Ok(file) => input.checkpoints = Some(Reader::new(BufReader::new(file), key)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if let Some(directory) = witness {
            match witness::load(&witness::witness_path(directory, key), key) {
                Ok(None) => input.witness = WitnessState::Missing,
                Ok(Some(checkpoint)) => {
                    input.witness = WitnessState::Agrees { size: checkpoint.size };
                    input.extra.push(("the witness", checkpoint));
                }
                Err(reason) => {
                    input.problems.push(format!("the witness can't be used: {reason}"));
                    input.witness = WitnessState::Contradicts { reason };
                }
            }
        }
        Ok(input)
    }

    pub(crate) fn of_export(path: &Path, key: &PublicKey) -> io::Result<Self> {
        let mut input = Self::empty();
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        input.names.push(path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()));
        input.segments.push(Segment { number: 1, file, length });
        match fs::read_to_string(export::checkpoint_path(path)) {
            Ok(text) => input.add_note("the export's checkpoint", &text, key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(input)
    }

    fn empty() -> Self {
        Self {
            names: Vec::new(),
            segments: Vec::new(),
            missing: None,
            head: None,
            checkpoints: None,
            extra: Vec::new(),
            problems: Vec::new(),
            crash_problems: Vec::new(),
            witness: WitnessState::NotAsked,
        }
    }

    pub(crate) fn add_note(&mut self, source: &'static str, text: &str, key: &PublicKey) {
        match Checkpoint::open(text, &layout::origin(key), key) {
            Ok(checkpoint) => self.extra.push((source, checkpoint)),
            Err(error) => self.problems.push(format!("{source} can't be used: {error}")),
        }
    }
}
