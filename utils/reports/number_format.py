"""Formatting of numbers: bytes, durations, milliseconds, percentages, ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence

MISSING = '–'


def compact(value: float) -> str:
    """Three digits and a unit: `41.0 M`, `442 k`, `64`."""
    scale, name = _scale(value, ((1e12, 'T'), (1e9, 'G'), (1e6, 'M'), (1e3, 'k')))
    return _three_digits(value / scale, name) if name else f'{value:g}'


def human_bytes(value: float) -> str:
    """Bytes in decimal units: `1.10 MB`, `458 kB`, `64 bytes`."""
    scale, name = byte_unit(value)
    return _three_digits(value / scale, name) if scale > 1 else f'{value:g} bytes'


def byte_unit(largest: float) -> tuple[float, str]:
    """Suitable unit for a number of bytes: size in bytes, and name."""
    scale, name = _scale(largest, ((1e9, 'GB'), (1e6, 'MB'), (1e3, 'kB')))
    return scale, name or 'bytes'


def _scale(value: float, units: Sequence[tuple[float, str]]) -> tuple[float, str]:
    # The margin is half of the last digit shown: 999,600 is formatted as 1.00 M, not as 1000 k.
    return next(((scale, name) for scale, name in units if abs(value) >= scale * 0.9995), (1.0, ''))


def _three_digits(value: float, unit: str) -> str:
    digits = max(0, 2 - math.floor(math.log10(abs(value) * 1.0005)))
    return f'{value:.{digits}f} {unit}'


def duration(seconds: float) -> str:
    """`0.84 s`, `12.3 s`, `2 min 5 s`, `1 h 2 min`."""
    if round(seconds, 1) < 60:
        return f'{seconds:.2f} s' if seconds < 1 else f'{seconds:.1f} s'
    if round(seconds) < 3600:
        return '{} min {} s'.format(*divmod(round(seconds), 60))
    return '{} h {} min'.format(*divmod(round(seconds / 60), 60))


def milliseconds(value: float | None) -> str:
    return MISSING if value is None else f'{value:.3f} ms'


def percent(share: float | None) -> str:
    """Formats a share between 0 and 1 as `87.10 %`."""
    return MISSING if share is None else f'{100 * share:.2f} %'


def integer(value: float | None) -> str:
    return MISSING if value is None else f'{value:,}'


def significant(value: float | None) -> str:
    """Formats a difference with two significant digits."""
    return MISSING if value is None else f'{value:.2g}'


def rounded(value: float, digits: int) -> float:
    """Rounds a value, without negative zeros."""
    return round(value, digits) + 0.0


def signed(value: float, digits: int) -> str:
    """Formats a change with its sign: `+0.50`, `-0.50`, and `0.00` if it rounds to zero."""
    change = rounded(value, digits)
    return f'{change:+.{digits}f}' if change else f'{change:.{digits}f}'


def times(before: float, after: float, less: str, more: str) -> str:
    """Ratio of two costs: `2.40× less` for 2.4 and 1, `1.20× MORE` for 1 and 1.2, `same` if equal."""
    if before == after or not before or not after:
        return 'same' if before == after else MISSING
    return f'{before / after:.2f}× {less}' if before > after else f'{after / before:.2f}× {more}'
