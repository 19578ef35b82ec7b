"""Names of files that are parts of one set: `train-00003-of-01024` is the fourth of 1,024."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pocketflow.datasets.sources.image_folders import some
from pocketflow.utils.errors import UsageError

_NAME = re.compile(r'(?P<split>.+)-(?P<number>\d{5,})-of-(?P<total>\d{5,})')


def shard_name(split: str, number: int, total: int) -> str:
    """The name of one part.

    >>> shard_name('train', 3, 1024)
    'train-00003-of-01024'
    """
    return f'{split}-{number:05}-of-{total:05}'


def check_shards(names: Iterable[str], split: str, where: str, expected: str) -> list[str]:
    """The names of all parts of a split, in order.

    Args:
      names: the names of all files in a folder.
      split: begin of the names.
      where, expected: the folder and what should be in it, for messages.

    Raises:
      UsageError: there are none, some are missing, or there are parts of several sets.
    """
    present = sorted(names)
    matches = [match for match in map(_NAME.fullmatch, present) if match is not None and match['split'] == split]
    totals = sorted({int(match['total']) for match in matches})
    if not totals:
        there = some(present) or 'no files'
        raise UsageError(f'{where}: no {split}-*-of-* there; expected {expected}; there are {there}')
    if len(totals) > 1:
        raise UsageError(
            f'{where}: {split} files of several sets: {", ".join(f"-of-{total:05}" for total in totals)}; keep one set'
        )
    (total,) = totals
    found = {match.string for match in matches}
    wanted = [shard_name(split, number, total) for number in range(total)]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UsageError(
            f'{where}: {len(missing)} of {total} {split} files are missing: {some(missing)}; complete the set'
        )
    surplus = sorted(found - {*wanted})
    if surplus:
        raise UsageError(f'{where}: {some(surplus)}: expected are numbers up to {total - 1}; remove the others')
    return wanted
