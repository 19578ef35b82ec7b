"""Progress of long work with speed and remaining time: a bar on a terminal, plain lines in a batch log."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from absl import logging
from tqdm import tqdm

BAR = '{desc} {bar:10} {n_fmt}/{total_fmt} ETA {remaining}{postfix}'
BAR_COLUMNS = len('  //////////  ETA 0:00:00, ')
"""Columns of the bar without its label, both numbers of steps and the postfix."""

SETTINGS = ('learning_rate',)
"""Values that are no results: beside a bar they are shown last, if there is room."""


def duration(seconds: float) -> str:
    """Formats hours, minutes, seconds: `duration(3723.4) == '1:02:03'`."""
    minutes, seconds = divmod(int(seconds), 60)
    return f'{minutes // 60}:{minutes % 60:02d}:{seconds:02d}'


def number(value: float) -> str:
    """Formats a value with four significant digits."""
    return f'{value:.4g}'


def fitting(parts: Sequence[str], room: int) -> list[str]:
    """The first parts that fit completely into `room` columns, separated by one space each."""
    lengths = itertools.accumulate(len(part) + 1 for part in parts)
    return [part for part, length in zip(parts, lengths, strict=True) if length - 1 <= room]


class Rate:
    """Units per second in the steady state: the first measurement, which includes the compilation, is excluded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._last = clock()
        self._warm = False
        self.seconds = 0.0
        self.units = 0.0

    def skip(self) -> None:
        """Excludes the time since the last measurement (evaluation, checkpoints)."""
        self._last = self._clock()

    def add(self, units: float) -> None:
        now = self._clock()
        if self._warm:
            self.seconds += now - self._last
            self.units += units
        self._last, self._warm = now, True

    @property
    def per_second(self) -> float:
        return self.units / self.seconds if self.seconds > 0 else 0.0


class Progress:
    """Progress through `total` steps.

    Args:
      label: name of the work.
      total: number of steps.
      first: number of steps done before (in a resumed run).
      units_per_step, unit: amount and unit that a step processes, such as 128 images.
    """

    def __init__(self, label: str, total: int, first: int = 0, units_per_step: int = 1, unit: str = 'images'):
        self.label, self.total, self.step = label, total, first
        self.units_per_step, self.unit = units_per_step, unit
        self.rate = Rate()
        self._bar = (
            tqdm(total=total, initial=first, desc=label, leave=False, bar_format=BAR) if sys.stderr.isatty() else None
        )

    def advance(self, steps: int) -> None:
        self.step += steps
        self.rate.add(steps * self.units_per_step)
        if self._bar is not None:
            self._bar.update(steps)

    def report(self, values: Mapping[str, float], note: str = '') -> None:
        """Shows the latest values as one line, or at the end of the bar."""
        rate = self.rate.per_second
        speed = f'{rate:,.{0 if rate >= 10 else 1}f} {self.unit}/s' if rate else 'warming up'
        if self._bar is not None:
            names = sorted(values, key=lambda name: name in SETTINGS)
            parts = [note] * bool(note) + [f'{name} {values[name]:.3g}' for name in names]
            self._bar.set_postfix_str(' '.join([speed, *fitting(parts, self._room_beside(self._bar, speed))]))
            return
        shown = ' '.join([note] * bool(note) + [f'{name} {number(value)}' for name, value in values.items()])
        eta = duration((self.total - self.step) * self.units_per_step / rate) if rate else '-'
        logging.info(
            '%s step %d/%d [%.0f %%] %s | %s | ETA %s',
            self.label,
            self.step,
            self.total,
            100 * self.step / self.total,
            shown,
            speed,
            eta,
        )

    def _room_beside(self, bar: tqdm, speed: str) -> int:
        """Remaining columns of the terminal for values after the bar and the speed."""
        return int(bar.ncols or 80) - BAR_COLUMNS - len(f'{self.label}{self.total}{self.total}{speed} ')

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
