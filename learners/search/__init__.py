"""Searches for one value per layer: what the learners that have such values share.

A learner says what can be chosen and how its network becomes a candidate (`Candidates`); `PlanSearch` does the rest.
"""

from pocketflow.learners.search.candidates import Candidates
from pocketflow.learners.search.plan_search import PlanSearch, SearchSettings
from pocketflow.learners.search.searching import LayerSearch, SearchedOptions, SearchingLearner

__all__ = ['Candidates', 'LayerSearch', 'PlanSearch', 'SearchSettings', 'SearchedOptions', 'SearchingLearner']
