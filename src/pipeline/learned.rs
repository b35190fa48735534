//! What the rules of a camera and its budget have learned: handed out as bytes, and taken back after a restart.

use super::Pipeline;
use crate::ids::RuleId;
use crate::memory::Memory;
use std::collections::BTreeMap;

const BUDGET: &str = "budget";

impl Pipeline {
    /// Everything that was learned until now. Taken back by a pipeline of the same plan, it makes the same events of
    /// the same recording, however often.
    pub fn memory(&self) -> Memory {
        let rule = |(id, rule): (&RuleId, &super::Rule)| Some((part(id), rule.pattern().memory()?));
        let mut parts: BTreeMap<String, Vec<u8>> = self.rules.iter().filter_map(rule).collect();
        parts.extend(self.budget.as_ref().map(|budget| (BUDGET.to_string(), budget.memory())));
        Memory { parts, ..Memory::default() }
    }

    /// Takes back what [`Pipeline::memory`] gave, part by part: one that is of no use leaves its owner with nothing
    /// learned. Returns a sentence about each of those.
    pub fn recall(&mut self, memory: &Memory) -> Vec<String> {
        let mut refused = Vec::new();
        for (id, rule) in &mut self.rules {
            // Of a rule that learns nothing now nothing is wanted.
            if let (Some(bytes), Some(_)) = (memory.parts.get(&part(id)), rule.pattern().memory())
                && let Err(why) = rule.pattern_mut().recall(bytes)
            {
                refused.push(format!("What rule {id} had learned cannot be used, it begins anew: {why}"));
            }
        }
        if let (Some(budget), Some(bytes)) = (&mut self.budget, memory.parts.get(BUDGET))
            && let Err(why) = budget.recall(bytes)
        {
            refused.push(format!("What the alert budget had learned cannot be used, it begins anew: {why}"));
        }
        refused
    }

    /// Of the rules that have to learn first: how far they are.
    pub fn statuses(&self) -> BTreeMap<RuleId, String> {
        self.rules.iter().filter_map(|(id, rule)| Some((id.clone(), rule.pattern().status()?))).collect()
    }

    /// What the budget promised and what became of it; `None` without one.
    pub fn budget(&self) -> Option<super::BudgetState> {
        self.budget.as_ref().map(super::Budget::state)
    }
}

fn part(id: &RuleId) -> String {
    format!("rule/{id}")
}
