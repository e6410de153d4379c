//! [`Tree`]: finds the longest path that a request begins with, at the cost of the request's length.

use std::collections::HashMap;

/// Values at paths that end with a slash.
#[derive(Debug)]
pub(super) struct Tree<V> {
    root: Node<V>,
}

#[derive(Debug)]
struct Node<V> {
    value: Option<V>,
    children: HashMap<Box<str>, Node<V>>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self {
            value: None,
            children: HashMap::new(),
        }
    }
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Self {
            root: Node::default(),
        }
    }
}

impl<V> Tree<V> {
    pub(super) fn insert(&mut self, path: &str, value: V) {
        let mut node = &mut self.root;
        for segment in segments(path) {
            node = node.children.entry(segment.into()).or_default();
        }
        node.value = Some(value);
    }

    pub(super) fn remove(&mut self, path: &str) {
        remove(&mut self.root, &mut segments(path));
    }

    pub(super) fn get(&self, path: &str) -> Option<&V> {
        segments(path)
            .try_fold(&self.root, |node, segment| node.children.get(segment))?
            .value
            .as_ref()
    }

    /// The value with the longest path that `path` begins with, and what follows. The slash at the
    /// end of `path` may be missing where nothing follows.
    pub(super) fn find<'p>(&self, path: &'p str) -> Option<(&V, &'p str)> {
        self.walk(path)
            .filter_map(|(node, rest)| Some((node.value.as_ref()?, rest)))
            .last()
    }

    /// The nodes along a path, and what of the path follows each.
    fn walk<'t, 'p>(&'t self, path: &'p str) -> impl Iterator<Item = (&'t Node<V>, &'p str)> {
        let (mut node, mut rest) = (&self.root, path);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (segment, tail) = rest.split_once('/').unwrap_or((rest, ""));
            (node, rest) = (node.children.get(segment)?, tail);
            Some((node, rest))
        })
    }

    /// A value at this path, above it, or below it.
    pub(super) fn overlapping(&self, path: &str) -> Option<&V> {
        let mut node = &self.root;
        for segment in segments(path) {
            node = node.children.get(segment)?;
            if let Some(value) = &node.value {
                return Some(value);
            }
        }
        node.any()
    }
}

impl<V> Node<V> {
    /// Some value at or below this node.
    fn any(&self) -> Option<&V> {
        self.value
            .as_ref()
            .or_else(|| self.children.values().find_map(Node::any))
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Removes a value, and the nodes that then lead nowhere.
fn remove<'p, V>(node: &mut Node<V>, left: &mut impl Iterator<Item = &'p str>) {
    let Some(segment) = left.next() else {
        node.value = None;
        return;
    };
    if let Some(child) = node.children.get_mut(segment) {
        remove(child, left);
        if child.value.is_none() && child.children.is_empty() {
            node.children.remove(segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&'static str]) -> Tree<&'static str> {
        let mut tree = Tree::default();
        paths.iter().for_each(|path| tree.insert(path, *path));
        tree
    }

    #[test]
    fn the_longest_path_wins() {
        let tree = tree(&["secret/", "secret-2/", "team/a/", "sys/"]);
        for (path, expected) in [
            ("secret/data/x", Some(("secret/", "data/x"))),
            ("secret", Some(("secret/", ""))),
            ("secret/", Some(("secret/", ""))),
            ("secret-2/x", Some(("secret-2/", "x"))),
            ("secrets/x", None),
            ("team/a/b/c/", Some(("team/a/", "b/c/"))),
            ("team/b", None),
            ("", None),
        ] {
            assert_eq!(
                tree.find(path).map(|(value, rest)| (*value, rest)),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn a_search_visits_the_segments_of_its_path_and_nothing_else() {
        let mut tree = Tree::default();
        for number in 0..10_000 {
            tree.insert(&format!("many/{}/{number}/", number % 100), number);
        }
        for (path, visited) in [
            ("many/42/4242/data/deep/down", 3),
            ("many/42/4242", 3),
            ("many/42/none/data", 2),
            ("none/42/4242", 0),
        ] {
            assert_eq!(tree.walk(path).count(), visited, "{path}");
        }
        let found = tree.find("many/42/4242/data/deep/down");
        assert_eq!(found, Some((&4242, "data/deep/down")));
    }

    #[test]
    fn paths_above_and_below_overlap() {
        let tree = tree(&["team/a/", "secret/"]);
        for (path, expected) in [
            ("team/", true),
            ("team/a/b/", true),
            ("team/a/", true),
            ("team/b/", false),
            ("te/", false),
        ] {
            assert_eq!(tree.overlapping(path).is_some(), expected, "{path}");
        }
    }

    #[test]
    fn removal_leaves_nothing_behind() {
        let mut tree = tree(&["team/a/", "team/b/"]);
        tree.remove("team/a/");
        assert!(tree.get("team/a/").is_none());
        assert_eq!(tree.get("team/b/"), Some(&"team/b/"));
        tree.remove("team/b/");
        assert!(tree.root.children.is_empty());
    }
}
