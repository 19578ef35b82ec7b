"""Times files alternately in one process, so that drift of the machine affects all of them equally."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from pocketflow.utils.export.intervals import is_narrow, speedup_interval
from pocketflow.utils.tasks.nests import Nest, take

MOST_TIMES, EXTRA_SECONDS = 10, 5.0
"""While ratios are uncertain, timing continues for at most this many times the rounds and this many seconds."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """Duration of a measurement, in rounds with one turn for each runner.

    Each turn starts with `settling` untimed calls, which refill the caches with this runner's data while the threads
    of the previous runner stop spinning; then `invocations_per_round` calls are timed one by one. The first `warmup`
    rounds are discarded.

    Timing continues up to `most_rounds` rounds and for at most `extra_seconds`, until the confidence interval of each
    runner's speed-up over the first runner is narrow.
    """

    rounds: int = 30
    warmup: int = 3
    settling: int = 2
    invocations_per_round: int = 5
    most_rounds: int = 0
    extra_seconds: float = 0.0

    def until_clear(self) -> Timing:
        """A copy that continues while speed-ups are uncertain."""
        return dataclasses.replace(self, most_rounds=MOST_TIMES * self.rounds, extra_seconds=EXTRA_SECONDS)

    @classmethod
    def of_calls(cls, num_timed: int, num_warmup: int) -> Timing:
        """At least `num_timed` timed calls of each runner, after at least `num_warmup` others."""
        per_turn = cls.settling + cls.invocations_per_round
        return cls(rounds=math.ceil(num_timed / cls.invocations_per_round), warmup=math.ceil(num_warmup / per_turn))


DEFAULT_TIMING = Timing()


@dataclasses.dataclass(frozen=True)
class Latency:
    """Milliseconds per call at batch 1.

    Attributes:
      p50, p90: median and 90th percentile.
      samples: all timed calls in order.
      rounds: the median of each round; those of runners that took turns belong together.
    """

    p50: float
    p90: float
    samples: tuple[float, ...]
    rounds: tuple[float, ...] = ()

    def to_json(self) -> dict[str, float]:
        return {'p50': self.p50, 'p90': self.p90}


class Timed(Protocol):
    """Interface of runners that can be timed."""

    def set_input(self, images: Nest) -> None: ...

    def invoke(self) -> None: ...


def percentiles(samples: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 90th percentile, interpolated linearly between neighbouring samples."""
    median, ninetieth = np.percentile(samples, [50, 90])
    return float(median), float(ninetieth)


def time_alternating(
    runners: Mapping[str, Timed],
    sample: Nest,
    timing: Timing = DEFAULT_TIMING,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Latency]:
    """Times all runners alternately (A B A B ...) on one input.

    Args:
      runners: the runners by name; at least one.
      sample: one input [...] without batch dimension; of several inputs, by name.
      timing: numbers of rounds and calls.
      clock: returns the time in seconds.

    Returns:
      For each name its latency, of `timing.rounds * timing.invocations_per_round` samples or more.
    """
    for runner in runners.values():
        runner.set_input(take(sample, np.newaxis))
    for _ in range(timing.warmup):
        _one_round(runners, timing, clock)
    rounds = [_one_round(runners, timing, clock) for _ in range(timing.rounds)]
    deadline = clock() + timing.extra_seconds
    # Computing the interval takes longer than a round, and repeated tests weaken it: only at 2, 4, 8 times the rounds.
    while len(rounds) < timing.most_rounds and not _is_clear(rounds):
        num_wanted = min(2 * len(rounds), timing.most_rounds)
        while len(rounds) < num_wanted and clock() < deadline:
            rounds.append(_one_round(runners, timing, clock))
        if len(rounds) < num_wanted:
            break
    return {name: _latency([turns[name] for turns in rounds]) for name in runners}


def _is_clear(rounds: Sequence[Mapping[str, Sequence[float]]]) -> bool:
    """Whether the interval of each runner's speed-up over the first runner is narrow."""
    first, *others = ([float(np.median(turns[name])) for turns in rounds] for name in rounds[0])
    return all(is_narrow(speedup_interval(first, other)) for other in others)


def _one_round(runners: Mapping[str, Timed], timing: Timing, clock: Callable[[], float]) -> dict[str, list[float]]:
    return {name: _one_turn(runner, timing, clock) for name, runner in runners.items()}


def _one_turn(runner: Timed, timing: Timing, clock: Callable[[], float]) -> list[float]:
    for _ in range(timing.settling):
        runner.invoke()
    return [_milliseconds(runner, clock) for _ in range(timing.invocations_per_round)]


def _milliseconds(runner: Timed, clock: Callable[[], float]) -> float:
    start = clock()
    runner.invoke()
    return 1000 * (clock() - start)


def _latency(turns: Sequence[Sequence[float]]) -> Latency:
    samples = tuple(value for turn in turns for value in turn)
    return Latency(*percentiles(samples), samples=samples, rounds=tuple(float(np.median(turn)) for turn in turns))
