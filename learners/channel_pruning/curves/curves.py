"""Sensitivity curves as values: quality of the network against the share of channels that one group keeps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.isotonic import isotonic_regression

from pocketflow.learners.channel_pruning.counts import num_kept
from pocketflow.learners.channel_pruning.curves.groups import Group
from pocketflow.utils.channels import ReaderChannels
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.runs.records import Number, Record, required_record
from pocketflow.utils.system import atomic
from pocketflow.utils.tasks.metric import SHAPE as METRIC_SHAPE
from pocketflow.utils.tasks.metric import Metric

SHARES = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
"""The measured shares; at 1 the network is as it was."""
SCHEMA = 1

_POINT = {'kept': int, 'loss': Number(), 'metric': Number()}
SHAPE = {
    'schema': int,
    'model': str,
    'selector': str,
    'weights': str,
    'metric': METRIC_SHAPE,
    'num_images': int,
    'seconds': Number(low=0),
    'complete': bool,
    'whole': {'loss': Number(), 'metric': Number()},
    'groups': [{'size': int, 'readers': {...: [int]}, 'points': [_POINT]}],
}
"""Shape of the file; see `pocketflow.utils.runs.records`."""


class Quality(NamedTuple):
    """Mean loss and primary metric on held-out samples."""

    loss: float
    metric: float


@dataclasses.dataclass(frozen=True)
class Curve:
    """The measured points of one group, the weights re-fitted and all other layers as they were.

    Attributes:
      group: the group.
      points: number of chosen channels -> quality, ascending; without the whole network.
    """

    group: Group
    points: Mapping[int, Quality]

    def losses(self, whole: Quality, counts: Sequence[int]) -> np.ndarray:
        """The rise of the loss for numbers of channels, at least 0, falling with the number: float64 `[counts]`.

        Args:
          whole: quality of the whole network.
          counts: numbers of channels, at least that of the first point.
        """
        return self._at(counts, [point.loss - whole.loss for point in self.points.values()])

    def drops(self, whole: Quality, counts: Sequence[int], metric: Metric) -> np.ndarray:
        """As `losses`, of the drop of the primary metric: how much worse it is."""
        drops = [metric.quality(whole.metric) - metric.quality(point.metric) for point in self.points.values()]
        return self._at(counts, drops)

    def _at(self, counts: Sequence[int], rises: Sequence[float]) -> np.ndarray:
        return np.interp(counts, [*self.points, self.group.size], falling([*rises, 0.0]))


def falling(values: Sequence[float]) -> np.ndarray:
    """The sequence without rises that is next to some values in least squares, cut off at 0.

    >>> falling([3.0, 1.0, 2.0, -1.0]).tolist()
    [3.0, 1.5, 1.5, 0.0]
    """
    return np.maximum(isotonic_regression(values, increasing=False), 0.0)


@dataclasses.dataclass(frozen=True)
class Curves:
    """The curves of a network, which serve every budget.

    Attributes:
      model_name: name of the network.
      selector: ranks the channels.
      weights: digest of the network's weights.
      metric: the primary metric.
      num_images: number of held-out samples.
      whole: quality of the whole network.
      curves: one per group, in the order of the last layers of the groups.
      seconds: duration of the measurement.
    """

    model_name: str
    selector: str
    weights: str
    metric: Metric
    num_images: int
    whole: Quality
    curves: tuple[Curve, ...]
    seconds: float = 0.0

    def __iter__(self) -> Iterator[Curve]:
        return iter(self.curves)

    @property
    def groups(self) -> dict[str, Group]:
        """The groups by name."""
        return {curve.group.name: curve.group for curve in self.curves}

    def kept(self, shares: Mapping[str, float], multiple: int = 1) -> dict[str, list[int]]:
        """Reader -> the channels that it keeps, ascending.

        Args:
          shares: reader -> the share of channels to keep; groups that are not named keep all.
          multiple: numbers of channels are multiples of this.
        """
        kept: dict[str, list[int]] = {}
        for group in self.groups.values():
            if group.name in shares:
                kept |= group.kept(num_kept(group.size, shares[group.name], multiple))
        return kept

    def to_json(self, complete: bool = True) -> dict[str, Any]:
        return {
            'schema': SCHEMA,
            'model': self.model_name,
            'selector': self.selector,
            'weights': self.weights,
            'metric': self.metric.to_json(),
            'num_images': self.num_images,
            'seconds': round(self.seconds, 2),
            'complete': complete,
            'whole': self.whole._asdict(),
            'groups': [
                {
                    'size': curve.group.size,
                    'readers': {name: list(ranks) for name, ranks in curve.group.ranks.items()},
                    'points': [{'kept': count, **point._asdict()} for count, point in curve.points.items()],
                }
                for curve in self.curves
            ],
        }

    @classmethod
    def from_json(cls, record: Record) -> Curves:
        """The curves of a record of the shape `SHAPE`.

        Raises:
          UsageError: its numbers contradict each other.
        """
        return cls(
            record['model'],
            record['selector'],
            record['weights'],
            Metric.from_json(record['metric']),
            record['num_images'],
            Quality(**{key: float(record['whole'][key]) for key in ('loss', 'metric')}),
            tuple(_curve(entry) for entry in record['groups']),
            float(record['seconds']),
        )

    def save(self, path: Path, complete: bool = True) -> None:
        """Writes the file, atomically."""
        atomic.write_json(path, self.to_json(complete))

    def check_readers(self, readers: Mapping[str, ReaderChannels]) -> None:
        """Raises a `UsageError` unless the network has the layers of the curves, with as many input channels."""
        for group in self.groups.values():
            for name, ranks in group.ranks.items():
                if name not in readers or readers[name].num_channels != len(ranks):
                    found = f'{readers[name].num_channels} input channels' if name in readers else 'no such layer'
                    raise UsageError(
                        f'the curves were measured on another network ({self.model_name!r}), or with other flags: '
                        f'layer {name!r} has {len(ranks)} input channels there; here: {found} that may be pruned'
                    )


def _curve(entry: Record) -> Curve:
    size, readers, points = entry['size'], entry['readers'], entry['points']
    counts = [point['kept'] for point in points]
    fits = readers and all(ranks and max(ranks) < size and min(ranks) >= -1 for ranks in readers.values())
    if not fits or not counts or counts != sorted(set(counts)) or counts[0] < 1 or counts[-1] >= size:
        raise UsageError(f'the curve of {", ".join(readers) or "no layer"} contradicts itself')
    return Curve(
        Group(size, {name: tuple(ranks) for name, ranks in readers.items()}),
        {point['kept']: Quality(float(point['loss']), float(point['metric'])) for point in points},
    )


def load_curves(path: Path, remedy: str) -> tuple[Curves, bool]:
    """Reads the file of `Curves.save`: the curves, and whether they are complete.

    Args:
      path: the file.
      remedy: advice for messages, such as 'delete it to ...'.

    Raises:
      PocketFlowError: the file is missing or damaged.
    """
    record = required_record(path, SHAPE, remedy)
    if record['schema'] != SCHEMA:
        raise PocketFlowError(f'{path}: curves of schema {record["schema"]}; this version reads {SCHEMA}; {remedy}')
    try:
        return Curves.from_json(record), record['complete']
    except UsageError as error:
        raise PocketFlowError(f'{path}: {error}; {remedy}') from None


def refuse_not_finite(quality: Quality, where: str) -> None:
    """Raises a `PocketFlowError` if a measured loss or metric is not finite."""
    if not all(map(math.isfinite, quality)):
        raise PocketFlowError(
            f'{where}: the loss on held-out samples is {quality.loss:g}, the metric {quality.metric:g}; channels '
            'cannot be distributed by such numbers: check the trained model and the data'
        )
