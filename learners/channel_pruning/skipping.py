"""The layers that a channel pruner skips by its flags, and the remedies for messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import tf_keras as keras

from pocketflow.learners.channel_pruning.options import StageFlags, StageSettings
from pocketflow.learners.channel_pruning.prunable import DENSE, FIRST, LAST, reasons_not_to_prune
from pocketflow.learners.layer_name_filter import skipped_by_name
from pocketflow.utils.channels import ReaderChannels, reader_channels
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.errors import UsageError

PRUNED = (keras.layers.Conv2D, keras.layers.Dense)
NUM_SHOWN = 3
"""Number of layers that are named in an error message."""


def skip_reasons(model: keras.Model, readers: Mapping[str, ReaderChannels], settings: StageSettings) -> dict[str, str]:
    """Skipped layer -> the reason; layers that are not named are pruned."""
    flags = settings.flags
    named = skipped_by_name(flags.skip_names, settings.skip_names, readers) if flags.skip_names else {}
    reasons = reasons_not_to_prune(model, readers, settings.skip_first, settings.skip_last, settings.dense)
    if flags.dense:
        by_flag = f'{flags.dense}={settings.dense}'
        reasons = {name: by_flag if reason == DENSE else reason for name, reason in reasons.items()}
    return {**reasons, **named}


def check_none_skipped(plan: CompressionPlan, skipped: Mapping[str, str], flags: StageFlags, plan_flag: str) -> None:
    """Raises a `UsageError` if a plan prunes a layer that is skipped by the options.

    Args:
      plan: the plan.
      skipped: result of `skip_reasons`.
      flags: of the learner.
      plan_flag: the flag that names the plan.
    """
    for name, reason in skipped.items():
        if len(plan.channels().get(name, ())) < plan.num_channels.get(name, 0):
            remedies = [which for which in _remedies(flags) if reason.startswith(which[0])]
            advice = f'which is not pruned ({reason}); take it out of the plan'
            for _, flag, remedy in remedies[:1]:
                advice = f'which {flag} skips; pass {remedy}'
            raise UsageError(f'--{plan_flag}: the plan prunes {name}, {advice}')


def check_any_prunable(model: keras.Model, skipped: Mapping[str, str], flags: StageFlags, learner: str) -> None:
    """Raises a `UsageError` with reasons and remedies if no layer of a model is to be pruned.

    Args:
      model: the model.
      skipped: result of `skip_reasons`.
      flags: of the learner.
      learner: its name.
    """
    readers = reader_channels(model)
    if readers.keys() - skipped.keys():
        return
    remedies = {
        name: remedy
        for name, reason in skipped.items()
        for start, _, remedy in _remedies(flags)
        if reason.startswith(start) and readers[name].num_channels > 1
    }
    others = [
        layer
        for layer in model.layers
        if layer.name not in remedies
        and any(weight.shape.rank > 1 for weight in layer.weights)
        and type(layer) not in PRUNED
    ]
    reasons = [f'{type(layer).__name__} ({layer.name}) is none of them' for layer in others[:NUM_SHOWN]]
    reasons += [f'{name} is skipped unless you pass {remedy}' for name, remedy in [*remedies.items()][-NUM_SHOWN:]]
    raise UsageError(
        f'no layer is left to prune in model {model.name!r}: {learner} prunes Conv2D '
        f'and Dense layers with several input channels; {"; ".join(reasons) or "it has none"}'
    )


def _remedies(flags: StageFlags) -> Iterator[tuple[str, str, str]]:
    """(start of the reason for skipping a layer, the flag that causes it, the flag that reverts it)."""
    if flags.skip_first:
        yield FIRST, flags.skip_first, f'--no{flags.skip_first}'
    if flags.skip_last:
        yield LAST, flags.skip_last, f'--no{flags.skip_last}'
    if flags.dense:
        yield flags.dense, flags.dense, f'--{flags.dense}=all'
    if flags.skip_names:
        yield flags.skip_names, flags.skip_names, f'other --{flags.skip_names}'
