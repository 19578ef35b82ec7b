"""Search for one value per layer, shared by the learners.

A learner defines the search domain and the application of a candidate (`Candidates`); `PlanSearch` runs the search.
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
