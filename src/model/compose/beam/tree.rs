//! The phrases of a search as one tree of chords, so that none of them copies its past: what all
//! share is the trunk, which has been streamed; each knows the node of its last chord, its leaf, and
//! the way back from there to the trunk is short as a rule.

use super::super::guard::{History, Named};

/// Index into [`Tree::nodes`]; [`ROOT`] is where all phrases begin and has no chord.
pub type NodeId = u32;
pub const ROOT: NodeId = NodeId::MAX;

struct Node<F> {
    parent: NodeId,
    frame: F,
}

/// Every phrase that was ever kept.
pub struct Tree<F: Named> {
    nodes: Vec<Node<F>>,
    /// The last chord that all hypotheses share.
    trunk_end: NodeId,
    /// Chords up to there.
    pub trunk_len: usize,
    /// The prime, then the trunk.
    history: History<F::Name>,
    /// Memory for the way from a node to the trunk.
    path: Vec<F>,
}

impl<F: Named> Tree<F> {
    /// With memory for so many nodes.
    pub fn new(prime: &[F], n_nodes: usize) -> Self {
        let mut history = History::with_capacity(prime.len());
        prime.iter().for_each(|frame| history.push(frame.name()));
        let nodes = Vec::with_capacity(n_nodes);
        Self { nodes, trunk_end: ROOT, trunk_len: 0, history, path: Vec::new() }
    }

    /// A node after another. Their number is bounded by
    /// [`crate::model::ComposeSettings::MAX_BEAM_FRAMES`].
    pub fn push(&mut self, parent: NodeId, frame: F) -> NodeId {
        self.nodes.push(Node { parent, frame });
        (self.nodes.len() - 1) as NodeId
    }

    fn parent(&self, node: NodeId) -> NodeId {
        self.nodes.get(node as usize).map_or(ROOT, |node| node.parent)
    }

    /// Puts the chords after `from`, an ancestor of `to`, up to `to` into `path`.
    fn find_path(&mut self, from: NodeId, to: NodeId) {
        self.path.clear();
        let mut at = to;
        while at != from
            && let Some(node) = self.nodes.get(at as usize)
        {
            self.path.push(node.frame.clone());
            at = node.parent;
        }
        self.path.reverse();
    }

    /// What `ask` says of the whole past of a hypothesis.
    pub fn with_history<T>(&mut self, leaf: NodeId, ask: impl FnOnce(&History<F::Name>) -> T) -> T {
        self.find_path(self.trunk_end, leaf);
        let mark = self.history.mark();
        self.path.iter().for_each(|frame| self.history.push(frame.name()));
        let answer = ask(&self.history);
        self.history.rewind(mark);
        answer
    }

    /// Moves the end of the trunk to where the phrases up to these leaves, all of one length, part
    /// now. The chords that are new in it.
    pub fn lengthen_trunk(&mut self, leaves: impl Iterator<Item = NodeId>) -> &[F] {
        let mut level: Vec<NodeId> = leaves.collect();
        // Two phrases that are alike are one node, so that the same node is the same past.
        level.dedup();
        while level.len() > 1 {
            level.iter_mut().for_each(|node| *node = self.parent(*node));
            level.dedup();
        }
        let parting = level.first().copied().unwrap_or(self.trunk_end);
        self.find_path(self.trunk_end, parting);
        self.trunk_end = parting;
        self.trunk_len += self.path.len();
        self.path.iter().for_each(|frame| self.history.push(frame.name()));
        &self.path
    }

    /// A whole phrase.
    pub fn phrase(&self, leaf: NodeId) -> Vec<F> {
        let node = |id: NodeId| self.nodes.get(id as usize);
        let back = std::iter::successors(node(leaf), |last| node(last.parent));
        let mut phrase: Vec<F> = back.map(|node| node.frame.clone()).collect();
        phrase.reverse();
        phrase
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::Token;

    proptest! {
        /// Beside the tree every phrase is kept whole.
        #[test]
        fn the_tree_knows_every_phrase_and_what_they_share(
            frames in prop::collection::vec(
                prop::collection::btree_set((0usize..6, 0u32..4), 1..6), 1..30),
            prime in prop::collection::vec(0u32..3, 0..4),
        ) {
            let mut tree = Tree::new(&prime, 0);
            let mut leaves = vec![ROOT];
            let mut phrases: Vec<Vec<Token>> = vec![Vec::new()];
            let mut said: Vec<Token> = Vec::new();
            for extensions in frames {
                let children: Vec<(usize, Token)> = extensions
                    .into_iter()
                    .map(|(parent, token)| (parent % leaves.len(), token))
                    .collect::<std::collections::BTreeSet<_>>()
                    .into_iter()
                    .collect();
                phrases = children
                    .iter()
                    .map(|&(parent, token)| [phrases[parent].as_slice(), &[token]].concat())
                    .collect();
                leaves = children
                    .iter()
                    .map(|&(parent, token)| tree.push(leaves[parent], token))
                    .collect();
                said.extend(tree.lengthen_trunk(leaves.iter().copied()));
                let shared = (0..phrases[0].len())
                    .take_while(|&n| phrases.iter().all(|phrase| phrase[n] == phrases[0][n]));
                prop_assert_eq!(&said, &phrases[0][..shared.count()]);
                prop_assert_eq!(tree.trunk_len, said.len());
                for (&leaf, phrase) in leaves.iter().zip(&phrases) {
                    prop_assert_eq!(&tree.phrase(leaf), phrase);
                    let whole = History::of(&[prime.as_slice(), phrase].concat());
                    tree.with_history(leaf, |history| assert_eq!(history, &whole));
                }
            }
        }
    }
}
