"""Disk space and duration of runs, by hand."""

from __future__ import annotations

import pytest

from pocketflow.learners.program.checking.estimates import LOG_BYTES, export_seconds, flag_search_seconds, run_bytes


def test_disk_space_of_two_stages():
    # Eight values per weight of a stage: two models, and two values in each of three checkpoints.
    values = 8 * (100 + 50) + 200 + 50  # baseline, final model
    assert run_bytes([100, 50], 200, [11, 22]) == 4 * values + 33 + LOG_BYTES


def test_disk_space_without_stages():
    assert run_bytes([], 10, []) == 40 + LOG_BYTES


def test_calibration_grows_with_the_samples():
    seconds = {'float32': 2.0, 'dynamic': 1.0, 'int8': 5.0}
    # 4 s more than the fastest conversion for 16 samples: 0.25 s for each.
    assert export_seconds(20.0, 16, 16, 116, [0.5], 1.0, seconds) == pytest.approx(20 + 25)
    assert export_seconds(20.0, 16, 16, 16, [0.5], 1.0, seconds) == 20.0
    assert export_seconds(20.0, 16, 18, 16, [0.5, 0.25], 1.0, seconds) == pytest.approx(23.5)


def test_fewer_samples_than_in_the_trial_take_as_long():
    assert export_seconds(20.0, 16, 4, 4, [0.5], 1.0, {'int8': 5.0}) == 20.0


def test_only_the_training_of_verified_candidates_is_longer():
    # A trial: 1 + 2 s of compression, 4 + 6 s of training, 1 s of evaluation.
    assert flag_search_seconds(5, 0, 4.0, [1, 2], [4, 6], 1) == 5 * 14
    assert flag_search_seconds(0, 1, 4.0, [1, 2], [4, 6], 1) == 3 + 40 + 1
