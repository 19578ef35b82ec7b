"""Timing files against each other in one process, in turns, so that drift of the machine hits all alike."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long to measure: the runners take turns, one turn each per round.

    In each turn `settling` calls come first and do not count, so that the caches hold this runner's data
    again and the threads of the runner before have stopped spinning; then `invocations_per_round` calls are
    timed, one by one. The first `warmup` rounds do not count at all.
    """

    rounds: int = 30
    warmup: int = 3
    settling: int = 2
    invocations_per_round: int = 5

    @classmethod
    def of_calls(cls, nb_timed: int, nb_warmup: int) -> Timing:
        """At least `nb_timed` timed calls of each runner, after at least `nb_warmup` others."""
        per_turn = cls.settling + cls.invocations_per_round
        return cls(rounds=math.ceil(nb_timed / cls.invocations_per_round),
                   warmup=math.ceil(nb_warmup / per_turn))


DEFAULT_TIMING = Timing()


@dataclasses.dataclass(frozen=True)
class Latency:
    """Milliseconds per call at batch 1: median, 90th percentile, and the samples in the order of taking."""

    p50: float
    p90: float
    samples: tuple[float, ...]

    def to_json(self) -> dict[str, float]:
        return {'p50': self.p50, 'p90': self.p90}


class Timed(Protocol):
    """What can be timed: takes a batch, then computes."""

    def set_input(self, images: np.ndarray) -> None: ...

    def invoke(self) -> None: ...


def percentiles(samples: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 90th percentile, interpolated linearly between neighbouring samples."""
    median, ninetieth = np.percentile(samples, [50, 90])
    return float(median), float(ninetieth)


def time_alternating(runners: Mapping[str, Timed], sample: np.ndarray, timing: Timing = DEFAULT_TIMING,
                     clock: Callable[[], float] = time.perf_counter) -> dict[str, Latency]:
    """Times all runners on one input, in turns A B A B ...

    Args:
      runners: what to time, by name.
      sample: one real input [...] without batch dimension.
      timing: how many rounds of how many calls.
      clock: the time in seconds.

    Returns:
      For each name its latency, of `timing.rounds * timing.invocations_per_round` samples.
    """
    for runner in runners.values():
        runner.set_input(sample[np.newaxis])
    samples: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(timing.warmup + timing.rounds):
        for name, runner in runners.items():
            samples[name] += _one_turn(runner, timing, clock)
    nb_ignored = timing.warmup * timing.invocations_per_round
    return {name: _latency(values[nb_ignored:]) for name, values in samples.items()}


def _one_turn(runner: Timed, timing: Timing, clock: Callable[[], float]) -> list[float]:
    for _ in range(timing.settling):
        runner.invoke()
    return [_milliseconds(runner, clock) for _ in range(timing.invocations_per_round)]


def _milliseconds(runner: Timed, clock: Callable[[], float]) -> float:
    start = clock()
    runner.invoke()
    return 1000 * (clock() - start)


def _latency(samples: list[float]) -> Latency:
    return Latency(*percentiles(samples), samples=tuple(samples))
