"""Searches for one value per layer: what the learners that have such values share.

A learner says what can be chosen and how its network becomes a candidate (`Candidates`); `PlanSearch` does the rest.
"""

from __future__ import annotations

from pocketflow.utils.system.late_imports import late_names

_PUBLIC = {
    'Candidates': 'pocketflow.learners.search.candidates',
    'LayerSearch': 'pocketflow.learners.search.options',
    'PlanSearch': 'pocketflow.learners.search.plan_search',
    'SearchSettings': 'pocketflow.learners.search.plan_search',
    'SearchedOptions': 'pocketflow.learners.search.options',
    'SearchingLearner': 'pocketflow.learners.search.searching',
}
"""Public name -> the module that defines it."""

__all__ = list(_PUBLIC)
__getattr__, __dir__ = late_names(__name__, _PUBLIC)
