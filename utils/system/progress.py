"""Says where long work is, how fast and how long still: a bar on a terminal, plain lines in a batch log."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from absl import logging
from tqdm import tqdm

BAR = '{desc} {bar:10} {n_fmt}/{total_fmt} ETA {remaining}{postfix}'
BAR_COLUMNS = len('  //////////  ETA 0:00:00, ')
"""What the bar takes besides its label, both numbers of steps and what stands behind."""

SETTINGS = ('learning_rate',)
"""Values that are no results: beside a bar they come last, where there may be no room for them."""


def duration(seconds: float) -> str:
    """Hours, minutes, seconds: `duration(3723.4) == '1:02:03'`."""
    minutes, seconds = divmod(int(seconds), 60)
    return f'{minutes // 60}:{minutes % 60:02d}:{seconds:02d}'


def number(value: float) -> str:
    """Short for people: four significant digits."""
    return f'{value:.4g}'


def fitting(parts: Sequence[str], room: int) -> list[str]:
    """The first of these parts that fit into `room` columns, separated by one space each: half a number misleads."""
    lengths = itertools.accumulate(len(part) + 1 for part in parts)
    return [part for part, length in zip(parts, lengths, strict=True) if length - 1 <= room]


class Rate:
    """Units per second of the steady state: the first measurement, which holds the compilation, is left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._last = clock()
        self._warm = False
        self.seconds = 0.0
        self.units = 0.0

    def skip(self) -> None:
        """Time until now is not counted (evaluation, checkpoints)."""
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
      label: what is running.
      total: number of steps.
      first: steps done before (a resumed run).
      units_per_step, unit: what a step processes, as in 128 images.
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
        """One line (or the bar's tail) with the values just measured."""
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
        """Columns of the terminal that are left for values behind the bar and the speed."""
        return int(bar.ncols or 80) - BAR_COLUMNS - len(f'{self.label}{self.total}{self.total}{speed} ')

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
