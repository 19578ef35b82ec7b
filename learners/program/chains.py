"""Properties of a chain of learners, `--learner=a,b`."""

from __future__ import annotations

from collections.abc import Sequence

from pocketflow.learners import LEARNERS
from pocketflow.learners.options import LearnerOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, flag_lines
from pocketflow.utils.runs.run_directory import fingerprint
from pocketflow.utils.training.options import DistillationOptions

FULL_PRECISION = 'full-prec'


def training_fingerprint(pair: str, options: Sequence[Options], more: Sequence[str] = ()) -> str:
    """Name of a trained model: the pair and a digest of its decisive options and of further lines."""
    return f'{pair}/{FULL_PRECISION}-{fingerprint([*flag_lines(options, decisive=True), *more])}'


def trains_from_scratch(names: Sequence[str], shared: LearnerOptions, distillation: DistillationOptions) -> bool:
    """Whether the chain `names` needs no trained model: it begins with full-prec, without warm start or teacher."""
    needs_teacher = distillation.enabled and distillation.teacher_path is None
    return names[0] == FULL_PRECISION and not (shared.warm_start or needs_teacher)


def starts_from_baseline(names: Sequence[str], shared: LearnerOptions) -> bool:
    """Whether the chain compresses the uncompressed model, so that a verdict can compare the two.

    `full-prec` alone starts from random weights, with or without a teacher.
    """
    return shared.warm_start or any(name != FULL_PRECISION for name in names)


def check_chain(names: Sequence[str]) -> None:
    """Raises a `UsageError` if a learner cannot follow those before it."""
    for index, name in enumerate(names):
        later = LEARNERS.declaration(name)
        for earlier in names[:index]:
            declared = LEARNERS.declaration(earlier)
            reason = None if name in declared.may_precede else declared.must_be_last
            reason = reason or later.refuses_after.get(earlier)
            if reason:
                raise UsageError(f'--learner={",".join(names)}: {name} cannot follow {earlier}: {reason}')
