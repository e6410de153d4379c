//! How many statements a request could meet, as far as their heads tell.
//!
//! Counted for everybody and one principal key beside: who has many roles may meet more, and is told so
//! when it does. Of the actions the heaviest counts at each place, which may be another one there: what
//! is found is never too little for such a request.

use super::Action;
use super::ask::with_prefixes;
use super::statement::{ANYBODY, Head, ResourceKey};
use std::collections::HashMap;

/// Statements of one principal key.
#[derive(Debug, Default)]
struct Load<'h>(HashMap<&'h ResourceKey, Weight>);

/// Statements of one place.
#[derive(Debug, Default)]
struct Weight {
    any_action: usize,
    by_action: HashMap<Action, usize>,
}

/// The most statements that one request could meet.
pub(super) fn heaviest<'h>(heads: impl Iterator<Item = &'h Head>) -> usize {
    let mut loads: HashMap<&str, Load<'h>> = HashMap::new();
    for head in heads.filter(|head| head.can_match()) {
        loads.entry(&head.principal).or_default().add(head);
    }
    let everybody = loads.remove(ANYBODY).unwrap_or_default();
    // A resource that both name counts once for each: the two chains may be the same one.
    let others = loads.values().map(Load::heaviest).max();
    everybody.heaviest() + others.unwrap_or_default()
}

impl<'h> Load<'h> {
    fn add(&mut self, head: &'h Head) {
        let weight = self.0.entry(&head.resource).or_default();
        match &head.actions {
            None => weight.any_action += 1,
            Some(actions) => {
                for action in actions {
                    *weight.by_action.entry(*action).or_default() += 1;
                }
            }
        }
    }

    fn heaviest(&self) -> usize {
        let of = |key: &ResourceKey| self.0.get(key).map_or(0, Weight::total);
        let chain = |id: &str| {
            let within = |above: &str| of(&ResourceKey::Within(above.into()));
            with_prefixes(id).map(within).sum::<usize>() + of(&ResourceKey::Exactly(id.into()))
        };
        let named = self.0.keys().filter_map(|key| match key {
            ResourceKey::Exactly(id) | ResourceKey::Within(id) => Some(chain(id)),
            ResourceKey::Anywhere | ResourceKey::Nothing => None,
        });
        of(&ResourceKey::Anywhere) + named.max().unwrap_or_default()
    }
}

impl Weight {
    fn total(&self) -> usize {
        self.any_action + self.by_action.values().max().copied().unwrap_or_default()
    }
}
