//! Many path patterns as one automaton over path components, so that a decision costs a lookup per
//! component and not a match per rule.

use smallvec::SmallVec;

use crate::pattern::{Segment, Wildcard};

/// How a tree reads a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The whole path must match, letter by letter: for what is granted.
    Grant,
    /// A match of any directory above the path counts, and ASCII case doesn't: for what is held back, since
    /// hiding a directory hides what is in it and some file systems know no case.
    Restrict,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by name, folded in [`Mode::Restrict`].
    literals: Vec<(Box<[u8]>, u32)>,
    wilds: Vec<(Wildcard, u32)>,
    /// The node that takes any number of further components.
    any_depth: Option<u32>,
    /// Stays active whatever component follows.
    stays: bool,
    /// What a path that ends here matches.
    accepts: SmallVec<[u32; 2]>,
}

impl Node {
    /// Where one component leads.
    fn children(&self) -> impl Iterator<Item = u32> {
        self.literals.iter().map(|(_, to)| *to).chain(self.wilds.iter().map(|(_, to)| *to))
    }
}

/// The automaton. Node 0 is the root directory.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    mode: Mode,
}

/// Active nodes; real policies keep a dozen.
type Active = SmallVec<[u32; 32]>;

impl Tree {
    pub(crate) fn new(mode: Mode) -> Self {
        Self { nodes: vec![Node::default()], mode }
    }

    /// Adds a pattern under the fixed components of `base`.
    pub(crate) fn insert(&mut self, base: &[u8], segments: &[Segment], id: u32) {
        let mut at = 0_u32;
        for component in base.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            at = self.literal(at, component);
        }
        for segment in segments {
            at = match segment {
                Segment::Literal(component) => self.literal(at, component.as_bytes()),
                Segment::Wild(wildcard, _) => self.wild(at, wildcard),
                Segment::AnyDepth => self.any_depth(at),
            };
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.accepts.push(id);
        }
    }

    fn fresh(&mut self, stays: bool) -> u32 {
        self.nodes.push(Node { stays, ..Node::default() });
        u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    fn literal(&mut self, at: u32, component: &[u8]) -> u32 {
        let name: Box<[u8]> = match self.mode {
            Mode::Grant => component.into(),
            Mode::Restrict => component.to_ascii_lowercase().into(),
        };
        let found =
            self.nodes.get(at as usize).map(|node| node.literals.binary_search_by(|(known, _)| known.cmp(&name)));
        match found {
            Some(Ok(index)) => {
                self.nodes.get(at as usize).and_then(|node| node.literals.get(index)).map_or(0, |(_, to)| *to)
            }
            Some(Err(index)) => {
                let to = self.fresh(false);
                if let Some(node) = self.nodes.get_mut(at as usize) {
                    node.literals.insert(index, (name, to));
                }
                to
            }
            None => 0,
        }
    }

    fn wild(&mut self, at: u32, wildcard: &Wildcard) -> u32 {
        let known = self.nodes.get(at as usize).and_then(|node| node.wilds.iter().find(|(known, _)| known == wildcard));
        if let Some((_, to)) = known {
            return *to;
        }
        let to = self.fresh(false);
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.wilds.push((wildcard.clone(), to));
        }
        to
    }

    fn any_depth(&mut self, at: u32) -> u32 {
        if let Some(to) = self.nodes.get(at as usize).and_then(|node| node.any_depth) {
            return to;
        }
        let to = self.fresh(true);
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.any_depth = Some(to);
        }
        to
    }

    /// Tells every pattern that matches this canonical path; one may be told twice.
    pub(crate) fn visit(&self, path: &[u8], mut found: impl FnMut(u32)) {
        let mut active = Active::new();
        let mut next = Active::new();
        self.enter(0, &mut active, &mut found);
        for component in path.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            next.clear();
            self.step(&active, component, &mut next, &mut found);
            std::mem::swap(&mut active, &mut next);
            if active.is_empty() {
                return;
            }
        }
        if self.mode == Mode::Grant {
            for node in active.iter().filter_map(|index| self.nodes.get(*index as usize)) {
                node.accepts.iter().copied().for_each(&mut found);
            }
        }
    }

    /// Tells every pattern that this path begins by its last name without matching it: `.git` begins
    /// `**/.git/hooks/**`. What lies beneath such a path could come to match.
    pub(crate) fn visit_begun(&self, path: &[u8], mut found: impl FnMut(u32)) {
        let Some(at) = path.iter().rposition(|byte| *byte == b'/') else { return };
        let (above, last) = path.split_at(at);
        let last = last.get(1..).unwrap_or_default();
        let mut active = Active::new();
        let mut next = Active::new();
        self.enter(0, &mut active, &mut |_| {});
        for component in above.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            next.clear();
            self.step(&active, component, &mut next, &mut |_| {});
            std::mem::swap(&mut active, &mut next);
        }
        // Only what the last name itself leads to; what merely stays active begins nothing.
        let mut waiting: Vec<u32> = Vec::new();
        next.clear();
        for node in active.iter().filter_map(|index| self.nodes.get(*index as usize)) {
            self.follow(node, last, &mut next, &mut |_| {});
        }
        waiting.extend(next.iter().filter_map(|index| self.nodes.get(*index as usize)).flat_map(Node::children));
        while let Some(index) = waiting.pop() {
            let Some(node) = self.nodes.get(index as usize) else { continue };
            node.accepts.iter().copied().for_each(&mut found);
            waiting.extend(node.children());
            waiting.extend(node.any_depth);
        }
    }

    /// One component further.
    fn step(&self, active: &Active, component: &[u8], next: &mut Active, found: &mut impl FnMut(u32)) {
        for index in active {
            let Some(node) = self.nodes.get(*index as usize) else { continue };
            if node.stays && !next.contains(index) {
                next.push(*index);
            }
            self.follow(node, component, next, found);
        }
    }

    fn follow(&self, node: &Node, component: &[u8], next: &mut Active, found: &mut impl FnMut(u32)) {
        if let Some(to) = self.find(node, component) {
            self.enter(to, next, found);
        }
        for (wildcard, to) in &node.wilds {
            if wildcard.matches(component, self.mode == Mode::Restrict) {
                self.enter(*to, next, found);
            }
        }
    }

    /// Makes a node active, and with it what follows it without a further component.
    fn enter(&self, index: u32, active: &mut Active, found: &mut impl FnMut(u32)) {
        let mut next = Some(index);
        while let Some(index) = next.take() {
            if active.contains(&index) {
                return;
            }
            active.push(index);
            let Some(node) = self.nodes.get(index as usize) else { return };
            if self.mode == Mode::Restrict {
                node.accepts.iter().copied().for_each(&mut *found);
            }
            next = node.any_depth;
        }
    }

    fn find(&self, node: &Node, component: &[u8]) -> Option<u32> {
        let found = match self.mode {
            Mode::Grant => node.literals.binary_search_by(|(known, _)| known.as_ref().cmp(component)),
            Mode::Restrict => node
                .literals
                .binary_search_by(|(known, _)| known.iter().copied().cmp(component.iter().map(u8::to_ascii_lowercase))),
        };
        found.ok().and_then(|index| node.literals.get(index)).map(|(_, to)| *to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::PathPattern;

    fn matches(mode: Mode, patterns: &[&str], path: &str) -> Vec<u32> {
        let mut tree = Tree::new(mode);
        for (id, pattern) in patterns.iter().enumerate() {
            for pattern in PathPattern::parse(pattern).unwrap() {
                tree.insert(b"", &pattern.segments, u32::try_from(id).unwrap());
            }
        }
        let mut found = Vec::new();
        tree.visit(path.as_bytes(), |id| found.push(id));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn grants_match_whole_and_exact() {
        let patterns = ["/src/**", "/etc/hosts", "/a/*/c", "/**/deep/**/x"];
        assert_eq!(matches(Mode::Grant, &patterns, "/src"), [0]);
        assert_eq!(matches(Mode::Grant, &patterns, "/src/a/b"), [0]);
        assert_eq!(matches(Mode::Grant, &patterns, "/srcx"), [0_u32; 0]);
        assert_eq!(matches(Mode::Grant, &patterns, "/etc/hosts"), [1]);
        assert_eq!(matches(Mode::Grant, &patterns, "/etc/hosts/x"), [0_u32; 0]);
        assert_eq!(matches(Mode::Grant, &patterns, "/ETC/hosts"), [0_u32; 0]);
        assert_eq!(matches(Mode::Grant, &patterns, "/a/b/c"), [2]);
        assert_eq!(matches(Mode::Grant, &patterns, "/q/deep/w/e/x"), [3]);
        assert_eq!(matches(Mode::Grant, &patterns, "/deep/x"), [3]);
    }

    #[test]
    fn restrictions_reach_below_and_fold_case() {
        let patterns = ["**/.env", ".env.*", "/home/me/.ssh/**", "**/.git/hooks/**"];
        assert_eq!(matches(Mode::Restrict, &patterns, "/w/a/.ENV"), [0]);
        assert_eq!(matches(Mode::Restrict, &patterns, "/w/.env/bin/python"), [0]);
        assert_eq!(matches(Mode::Restrict, &patterns, "/w/.env.local"), [1]);
        assert_eq!(matches(Mode::Restrict, &patterns, "/home/me/.ssh"), [2]);
        assert_eq!(matches(Mode::Restrict, &patterns, "/w/x/.Git/Hooks/pre-commit"), [3]);
        assert_eq!(matches(Mode::Restrict, &patterns, "/w/x/.git/config"), [0_u32; 0]);
        assert_eq!(matches(Mode::Restrict, &patterns, "/w/x.env"), [0_u32; 0]);
    }

    #[test]
    fn beginnings_are_told_by_the_last_name_only() {
        let mut tree = Tree::new(Mode::Restrict);
        for (id, pattern) in ["**/.git/hooks/**", "/w/.cfg/*/x", "**/.env"].iter().enumerate() {
            tree.insert(b"", &PathPattern::parse(pattern).unwrap()[0].segments, u32::try_from(id).unwrap());
        }
        let begun = |path: &str| {
            let mut found = Vec::new();
            tree.visit_begun(path.as_bytes(), |id| found.push(id));
            found
        };
        assert_eq!(begun("/w/a/.GIT"), [0]);
        assert_eq!(begun("/w/.cfg"), [1]);
        assert_eq!(begun("/w/.cfg/q"), [1]);
        for path in ["/w", "/", "/w/a", "/w/.git/x", "/w/.env", "/v/.cfg"] {
            let expected: &[u32] = if path == "/w" { &[1] } else { &[] };
            assert_eq!(begun(path), expected, "{path}");
        }
    }
}
