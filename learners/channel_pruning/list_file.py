"""Files with one number for each layer, as `--cp_prune_list_file` and `--cpg_prune_ratio_file`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pocketflow.utils.errors import UsageError


def read_list(path: str, flag: str, what: str, accepts: Callable[[float], bool]) -> tuple[float, ...]:
    """The numbers of a text file, separated by commas, white space or both.

    Args:
      path: the file.
      flag: the flag that names it, without dashes, for messages.
      what: what the numbers are, for messages.
      accepts: whether a number is in range.

    Raises:
      UsageError: the file cannot be read, is empty, or holds something else than numbers in range.
    """
    try:
        text = Path(path).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f'--{flag}={path}: cannot read the file: {error}') from None
    words = [word for word in re.split(r'[,\s]+', text) if word]
    if not words:
        raise UsageError(f'--{flag}={path}: the file is empty; give {what}, separated by commas')
    numbers = tuple(_number(word, path, flag, what) for word in words)
    for number in numbers:
        if not accepts(number):
            raise UsageError(f'--{flag}={path}: {number:g} is out of range; give {what}')
    return numbers


def by_layer(
    numbers: Sequence[float], layers: Sequence[str], path: str, flag: str, kind: str = 'convolutions'
) -> dict[str, float]:
    """Layer -> its number; `kind` says in messages what the layers are.

    Raises:
      UsageError: there are more or fewer numbers than layers.
    """
    if len(numbers) != len(layers):
        raise UsageError(
            f'--{flag}={path}: {len(numbers)} numbers for {len(layers)} {kind}; give one for each, in the order '
            f'of execution: {", ".join(layers)}'
        )
    return dict(zip(layers, numbers, strict=True))


def _number(word: str, path: str, flag: str, what: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise UsageError(f'--{flag}={path}: {word!r} is no number; give {what}, separated by commas') from None
