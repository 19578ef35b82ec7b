"""Layers excluded from compression by parts of their names: `--cpr_skip_op_names`, `--ws_skip_names`."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pocketflow.utils.errors import UsageError


def skipped_by_name(flag: str, given: str | None, layers: Iterable[str]) -> dict[str, str]:
    """Selects the layers whose names contain one of the words.

    Args:
      flag: the flag's name.
      given: its value: words, separated by commas.
      layers: names of layers.

    >>> skipped_by_name('ws_skip_names', 'fc, v1', ['conv1', 'conv2', 'fc3'])
    {'conv1': 'ws_skip_names=v1', 'fc3': 'ws_skip_names=fc'}
    """
    matching = {name: [word for word in _words(given) if word in name] for name in layers}
    return {name: f'{flag}={words[0]}' for name, words in matching.items() if words}


def refuse_unmatched_words(flag: str, given: str | None, layers: Collection[str]) -> None:
    """Raises a `UsageError` if a word is not part of any layer's name, and so most likely misspelt."""
    for word in _words(given):
        if not any(word in name for name in layers):
            raise UsageError(
                f'--{flag}={given}: no layer that can be pruned has {word!r} in its name; those are '
                f'{", ".join(layers) or "none"}'
            )


def _words(given: str | None) -> list[str]:
    return [word.strip() for word in (given or '').split(',') if word.strip()]
