"""Validated reading of the JSON records of a run directory.

A full disk, a power failure, an editor or an interrupted copy may have damaged them. All records are read by one
function, which bounds size and depth, checks the keys and types that the program uses, and reports in one line which
file is damaged and what to delete.

The shape of a record is described by Python types:

* `str`, `bool`, `int`, `float` (also accepts `int`s, infinities and NaN), `object` (any value);
* `Number(low, above)`: a finite number within bounds;
* `(str, None)`: any of these;
* `[str]`: a list of such items; `[int, int]`: a list of exactly two;
* `{'key': str, 'other?': int}`: an object with at least these keys, of which the second is optional;
* `{'loss': float, ...: float}`: an object whose other keys have values of the last type.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import PocketFlowError

MAX_BYTES = 64 << 20
MAX_DEPTH = 32
MAX_WHOLE = 1 << 63
"""Limit of the magnitude of integers."""

Shape = Any
Record = Mapping[str, Any]
"""A JSON object that was checked when it was read, or was created by the program."""


class DamagedRecordError(PocketFlowError):
    """A record of a run is damaged or missing."""


@dataclasses.dataclass(frozen=True)
class Number:
    """Shape of a finite number that is at least `low` and greater than `above`."""

    low: float = -math.inf
    above: float = -math.inf

    def fits(self, value: Any) -> bool:
        return _fits_type(value, float) and math.isfinite(value) and value >= self.low and value > self.above

    def __str__(self) -> str:
        bounds = [f'{sign} {bound:g}' for sign, bound in (('>=', self.low), ('>', self.above)) if bound > -math.inf]
        return ' '.join(['a finite number', *bounds])


def read_record(
    path: Path, shape: Shape, remedy: str, upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> Any | None:
    """Reads and checks a record; returns `None` if there is no such file.

    Args:
      path: the file.
      shape: expected shape, as described above.
      remedy: advice for the message, such as 'delete it to ...'.
      upgrade: converts an object that was written by a former version; it must accept any object.

    Raises:
      DamagedRecordError: the content does not have this shape.
    """
    try:
        return _value(_content(path), shape, upgrade)
    except FileNotFoundError:
        return None
    except _NoRecordError as error:
        raise DamagedRecordError(f'{path}: damaged record ({error}); {remedy}') from None


def required_record(path: Path, shape: Shape, remedy: str) -> Any:
    """As `read_record`, but raises a `DamagedRecordError` if the file is missing."""
    record = read_record(path, shape, remedy)
    if record is None:
        raise DamagedRecordError(f'{path}: is gone; {remedy}')
    return record


def parsed(content: bytes, shape: Shape) -> Any | None:
    """Parses and checks a line of a log; returns `None` if it is damaged."""
    try:
        return _value(content, shape)
    except _NoRecordError:
        return None


def copy_damaged(path: Path) -> Path:
    """Copies a damaged file to an unused name beside it, `NAME.damaged` or `NAME.damaged-2`, ...; returns the path."""
    names = (path.with_name(f'{path.name}.damaged{number}') for number in ('', *(f'-{k}' for k in range(2, 1000))))
    aside = next(name for name in names if not name.exists())
    shutil.copyfile(path, aside)
    return aside


class _NoRecordError(Exception):
    """Reason why a file is no valid record."""


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise _NoRecordError('it is no file')
    with open(path, 'rb') as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _NoRecordError(f'it has more than {MAX_BYTES >> 20} MiB')
    return content


def _value(content: bytes, shape: Shape, upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> Any:
    if not content.strip(b'\0 \t\r\n'):
        raise _NoRecordError('it is empty' if not content else 'it holds no text')
    try:
        value = json.loads(content.decode('utf-8'))
    except UnicodeDecodeError:
        raise _NoRecordError('it holds no text') from None
    except RecursionError:
        raise _NoRecordError('it is nested too deep') from None
    except ValueError as error:
        raise _NoRecordError(f'it is no JSON: {error}') from None
    if depth(value) > MAX_DEPTH:
        raise _NoRecordError('it is nested too deep')
    if upgrade is not None and isinstance(value, dict):
        value = upgrade(value)
    mismatch = next(mismatches(value, shape), None)
    if mismatch is not None:
        raise _NoRecordError(mismatch)
    return value


def depth(value: Any) -> int:
    """Nesting depth of lists and objects, 0 for a number; stops at one more than the limit."""
    items, deepest = [value], 0
    while deepest <= MAX_DEPTH and (holders := [item for item in items if isinstance(item, (dict, list))]):
        items = [item for holder in holders for item in (holder.values() if isinstance(holder, dict) else holder)]
        deepest += 1
    return deepest


def mismatches(value: Any, shape: Shape, place: str = '') -> Iterator[str]:
    """Yields one message for each part of a value that does not have the expected shape."""
    if isinstance(shape, tuple):
        if all(next(mismatches(value, part, place), None) is not None for part in shape):
            yield from mismatches(value, shape[0], place)
    elif isinstance(shape, dict):
        yield from _mismatches_of_object(value, shape, place)
    elif isinstance(shape, list):
        yield from _mismatches_of_list(value, shape, place)
    elif not (shape.fits(value) if isinstance(shape, Number) else _fits_type(value, shape)):
        wanted = str(shape) if isinstance(shape, Number) else _NAMES[shape]
        yield f'{place or "it"} is {shown(value)}, not {wanted}'


def _mismatches_of_object(value: Any, shape: dict[Any, Shape], place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f'{place or "it"} is {shown(value)}, not an object'
        return
    named = {key.removesuffix('?'): key for key in shape if key is not ...}
    for key in value.keys() - named.keys() if ... in shape else ():
        yield from mismatches(value[key], shape[...], f'{place}.{key[:40]}'.lstrip('.'))
    for name, key in named.items():
        part, inner = shape[key], f'{place}.{name}'.lstrip('.')
        if name in value:
            yield from mismatches(value[name], part, inner)
        elif not key.endswith('?'):
            yield f'{inner} is missing'


def _mismatches_of_list(value: Any, shape: list[Shape], place: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f'{place or "it"} is {shown(value)}, not a list'
    elif len(shape) > 1 and len(value) != len(shape):
        yield f'{place or "it"} has {len(value)} items, not {len(shape)}'
    else:
        for number, item in enumerate(value):
            yield from mismatches(item, shape[number % len(shape)], f'{place}[{number}]')


_NAMES = {None: 'null', str: 'a text', bool: 'true or false', int: 'a whole number', float: 'a number'}


def _fits_type(value: Any, kind: Any) -> bool:
    if kind is object:
        return True
    if kind is None:
        return value is None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= MAX_WHOLE:
        return False
    kinds = {float: (int, float)}.get(kind, kind)
    return isinstance(value, kinds) and (kind is bool or not isinstance(value, bool))


def shown(value: Any) -> str:
    """A value as JSON on one line, truncated."""
    if isinstance(value, (dict, list)):
        return 'an object' if isinstance(value, dict) else 'a list'
    text = json.dumps(value)
    return text if len(text) <= 40 else f'{text[:40]}...'
