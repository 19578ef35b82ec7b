from __future__ import annotations

import numpy as np
import pytest

from pocketflow.utils.export.latency import Timing, percentiles, time_alternating

SAMPLE = np.ones((2, 2, 1), np.float32)


class FakeMachine:
    """A clock that moves only while one of its runners computes, and a diary of who computed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.diary: list[str] = []

    def clock(self) -> float:
        return self.now


class FakeRunner:
    """Takes the given seconds per call, one after the other, then again from the first."""

    def __init__(self, machine: FakeMachine, name: str, *seconds: float) -> None:
        self.machine, self.name, self.seconds = machine, name, seconds
        self.num_calls = 0
        self.input: np.ndarray | None = None

    def set_input(self, images: np.ndarray) -> None:
        self.input = images

    def invoke(self) -> None:
        self.machine.now += self.seconds[self.num_calls % len(self.seconds)]
        self.machine.diary.append(self.name)
        self.num_calls += 1


def test_percentiles_by_hand():
    assert percentiles(range(11)) == (5, 9)
    assert percentiles([1, 2]) == pytest.approx((1.5, 1.9))
    assert percentiles([4]) == (4, 4)


def test_runners_take_turns():
    machine = FakeMachine()
    runners = {name: FakeRunner(machine, name, 1) for name in 'AB'}
    timing = Timing(rounds=2, warmup=1, settling=0, invocations_per_round=1)
    time_alternating(runners, SAMPLE, timing, machine.clock)
    assert ''.join(machine.diary) == 'ABABAB'


def test_each_turn_has_settling_and_timed_calls():
    machine = FakeMachine()
    runners = {name: FakeRunner(machine, name, 1) for name in 'AB'}
    timing = Timing(rounds=2, warmup=0, settling=1, invocations_per_round=2)
    latencies = time_alternating(runners, SAMPLE, timing, machine.clock)
    assert ''.join(machine.diary) == 'AAABBBAAABBB'
    assert len(latencies['A'].samples) == 4


def test_effort_may_be_given_in_calls():
    assert Timing.of_calls(num_timed=100, num_warmup=20) == Timing(rounds=20, warmup=3)
    assert Timing.of_calls(num_timed=1, num_warmup=0) == Timing(rounds=1, warmup=0)


def test_only_timed_calls_after_the_warmup_count_in_milliseconds():
    machine = FakeMachine()
    # One warm-up round, then two that count; the first call of each turn is for settling.
    runner = FakeRunner(machine, 'A', 9, 9, 9, 0.001, 9, 0.002)
    timing = Timing(rounds=2, warmup=1, settling=1, invocations_per_round=1)
    latency = time_alternating({'A': runner}, SAMPLE, timing, machine.clock)['A']
    assert latency.samples == pytest.approx((1, 2))
    assert latency.to_json() == pytest.approx({'p50': 1.5, 'p90': 1.9})


def test_runners_get_the_sample_as_a_batch_of_one():
    machine = FakeMachine()
    runner = FakeRunner(machine, 'A', 1)
    time_alternating({'A': runner}, SAMPLE, Timing(rounds=1), machine.clock)
    np.testing.assert_array_equal(runner.input, SAMPLE[np.newaxis])


def timed(seconds: float, timing: Timing, *more: float) -> tuple[int, FakeMachine]:
    """Rounds taken to time A, always 1 ms, beside B."""
    machine = FakeMachine()
    runners = {'A': FakeRunner(machine, 'A', 0.001), 'B': FakeRunner(machine, 'B', seconds, *more)}
    latencies = time_alternating(runners, SAMPLE, timing, machine.clock)
    assert len(latencies['A'].rounds) == len(latencies['B'].rounds)
    return len(latencies['B'].rounds), machine


ONE_CALL = {'warmup': 0, 'settling': 0, 'invocations_per_round': 1}


def test_timing_goes_on_until_the_ratio_is_clear():
    assert timed(0.002, Timing(rounds=8, **ONE_CALL).until_clear())[0] == 8  # all ratios are the same
    # Fewer than eight rounds say nothing with 99 % confidence; then the number is doubled.
    assert timed(0.002, Timing(rounds=3, **ONE_CALL).until_clear())[0] == 12


def test_timing_ends_though_the_ratio_is_not_clear():
    scattered = np.random.default_rng(0).lognormal(-7, 1, 997)
    assert timed(0.002, Timing(rounds=3, **ONE_CALL).until_clear(), *scattered)[0] == 30
    assert timed(0.002, Timing(rounds=3, **ONE_CALL), *scattered)[0] == 3
    short = Timing(rounds=3, most_rounds=1000, extra_seconds=0.1, **ONE_CALL)
    num_rounds, machine = timed(0.002, short, *scattered)
    assert 3 < num_rounds < 60 and machine.now < 0.12


def test_each_round_has_its_median():
    machine = FakeMachine()
    runner = FakeRunner(machine, 'A', 0.001, 0.009, 0.002, 0.004, 0.004, 0.001)
    timing = Timing(rounds=2, warmup=0, settling=0, invocations_per_round=3)
    assert time_alternating({'A': runner}, SAMPLE, timing, machine.clock)['A'].rounds == pytest.approx((2, 4))
