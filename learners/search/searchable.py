"""The flags that `--hpo_space` may name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pocketflow.learners.options import LearnerOptions
from pocketflow.learners.search.options import SearchedOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option_fields, value_type

SHARED_FIELDS = ('rate_factor_finetune', 'decay_factor_finetune')
"""The fields of `LearnerOptions` that can be searched."""
FIXED_FIELDS = ('quant_epochs',)
"""Fields that cannot be searched: the length of all trials is --hpo_nb_epochs."""


def searchable(options: Options) -> dict[str, tuple[str, type]]:
    """Flag -> (field, type of its values)."""
    return {
        field.metadata['flag']: (field.name, value_type(type(options), field))
        for field in option_fields(type(options))
        if (field.name in SHARED_FIELDS if isinstance(options, LearnerOptions) else field.name not in FIXED_FIELDS)
    }


def searchable_types(options: Iterable[Options]) -> dict[str, type]:
    """Flag -> type of its values, of all flags that can be searched."""
    return {flag: kind for parts in options for flag, (_, kind) in searchable(parts).items()}


def refuse_nested(learner_options: Mapping[str, Options]) -> None:
    """Raises a `UsageError` if a learner would search within each trial of a search."""
    for name, options in learner_options.items():
        if isinstance(options, SearchedOptions) and options.searches:
            raise UsageError(
                f'--hpo_space: {name} would search its values per layer within every trial; give it a '
                f'fixed rule by {options.fixed_flag}, or drop --hpo_space'
            )
