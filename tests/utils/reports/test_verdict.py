from __future__ import annotations

import pytest

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.reports.verdict import Speed, VerdictOptions, compare_speeds, enforce, make_verdict, verdict_line
from pocketflow.utils.tasks.metric import ACCURACY


def entry(size: int, milliseconds: float, accuracy: float) -> dict:
    return {'file_bytes': size, 'latency_ms': {'p50': milliseconds}, 'file_metrics': {'accuracy': accuracy}}


GOOD = make_verdict(entry(300, 2.0, 0.9), entry(100, 1.0, 0.89), ACCURACY)
BAD = make_verdict(entry(100, 1.0, 0.9), entry(100, 1.5, 0.95), ACCURACY)


def test_judgement():
    assert GOOD == {'smaller': True, 'faster': True, 'metric_drop': 0.01, 'size_ratio': 3.0, 'speedup': 2.0}
    assert not BAD['smaller'] and not BAD['faster']
    assert BAD['metric_drop'] == -0.05


@pytest.mark.parametrize(
    ('milliseconds', 'words'),
    [
        (1.0, 'as fast (1.00x)'),
        (0.98, 'as fast (1.02x)'),
        (1.02, 'as fast (0.98x)'),
        (0.95, 'faster (1.05x)'),
        (1.05, 'NOT faster (0.95x)'),
    ],
)
def test_speeds_that_differ_by_chance_are_equal(milliseconds, words):
    verdict = make_verdict(entry(100, 1.0, 0.9), entry(100, milliseconds, 0.9), ACCURACY)
    assert verdict['faster'] == words.startswith('faster')
    assert f', {words}, accuracy drop 0.00 points' in verdict_line(verdict, ACCURACY, ONE_FILE)


def test_luck_does_not_meet_a_requirement():
    verdict = make_verdict(entry(100, 1.0, 0.9), entry(100, 0.98, 0.9), ACCURACY)
    with pytest.raises(PocketFlowError, match=r'--require_faster \(speed-up 1.02; up to 1.03 may be chance\)'):
        enforce(verdict, VerdictOptions(require_faster=True))


@pytest.mark.parametrize('drop', [-0.0, -1e-6, 1e-6])
def test_a_drop_that_rounds_to_nothing_has_no_sign(drop):
    assert 'accuracy drop 0.00 points' in verdict_line({**GOOD, 'metric_drop': drop}, ACCURACY, ONE_FILE)


ONE_FILE = {'file': 'm.tflite', 'timed_file': 'm.tflite'}


def test_lines():
    expected = 'verdict: smaller (3.00x), faster (2.00x), accuracy drop 1.00 points'
    assert verdict_line(GOOD, ACCURACY, ONE_FILE).startswith(expected)
    assert 'NOT smaller (1.00x), NOT faster (0.67x), accuracy gain 5.00 points' in verdict_line(BAD, ACCURACY, ONE_FILE)


def test_the_share_of_the_multiply_adds_that_is_left():
    line = verdict_line(GOOD, ACCURACY, {**ONE_FILE, 'macs': 33}, {'macs': 100})
    assert line.endswith('; measured on the exported file; 33.0 % of the MACs left')
    assert verdict_line(GOOD, ACCURACY, {**ONE_FILE, 'macs': 100}, {'macs': 100}).endswith('exported file')


def test_two_files_are_named():
    text = verdict_line(GOOD, ACCURACY, {'file': 'm.pfz', 'timed_file': 'a/m.tflite'})
    assert 'smaller (3.00x m.pfz), faster (2.00x m.tflite), accuracy' in text


def test_what_cannot_be_run_has_no_speed():
    verdict = make_verdict(entry(300, 2.0, 0.9), {**entry(100, 1.0, 0.89), 'latency_ms': None}, ACCURACY)
    assert verdict['faster'] is None and verdict['speedup'] is None
    assert 'smaller (3.00x m.pfz), speed not measured, accuracy drop 1.00 points' in verdict_line(
        verdict, ACCURACY, {'file': 'm.pfz', 'timed_file': None}
    )
    with pytest.raises(PocketFlowError, match=r'--require_faster \(no exported format can be run\)'):
        enforce(verdict, VerdictOptions(require_faster=True))


def test_requirements_become_failures():
    enforce(GOOD, VerdictOptions(require_smaller=True, require_faster=True, max_accuracy_drop=0.01))
    with pytest.raises(PocketFlowError, match=r'--require_smaller \(size ratio 1.00\) and --require_faster'):
        enforce(BAD, VerdictOptions(require_smaller=True, require_faster=True))
    with pytest.raises(PocketFlowError, match=r'--max_accuracy_drop=0.005 \(drop 0.0100\)'):
        enforce(GOOD, VerdictOptions(max_accuracy_drop=0.005))


def test_conditions_need_a_verdict():
    enforce(None, VerdictOptions())
    for options in (VerdictOptions(require_smaller=True), VerdictOptions(max_accuracy_drop=0.0)):
        with pytest.raises(UsageError, match='judge a compressed model, but the report has no verdict'):
            enforce(None, options)


@pytest.mark.parametrize(
    ('speedup', 'interval', 'expected'),
    [
        (1.5, (1.4, 1.6), Speed.FASTER),
        (1.5, (1.01, 2.5), Speed.FASTER),
        (1.5, (0.9, 2.5), Speed.UNCLEAR),
        (1.02, (1.01, 1.04), Speed.AS_FAST),
        (1.0, (0.92, 1.09), Speed.AS_FAST),
        (1.0, (0.8, 1.09), Speed.UNCLEAR),
        (0.5, (0.4, 0.6), Speed.SLOWER),
        (0.9, (0.7, 1.1), Speed.UNCLEAR),
        (1.2, None, Speed.FASTER),
        (0.8, None, Speed.SLOWER),
    ],
)
def test_only_what_is_beyond_doubt_is_said(speedup, interval, expected):
    assert compare_speeds(speedup, interval) is expected


def test_a_doubtful_speedup_is_no_speedup():
    verdict = make_verdict(
        entry(300, 1.2, 0.9), {**entry(100, 1.0, 0.9), 'speedup_interval': [0.90001, 1.30001]}, ACCURACY
    )
    assert verdict['faster'] is False and verdict['speedup_interval'] == [0.9, 1.3]
    assert 'smaller (3.00x), not clearly faster (0.90x to 1.30x), accuracy' in verdict_line(verdict, ACCURACY, ONE_FILE)
    with pytest.raises(PocketFlowError, match=r'--require_faster \(speed-up 0.90x to 1.30x: not clear; try a quieter'):
        enforce(verdict, VerdictOptions(require_faster=True))
    sure = make_verdict(entry(300, 1.2, 0.9), {**entry(100, 1.0, 0.9), 'speedup_interval': (1.1, 1.3)}, ACCURACY)
    enforce(sure, VerdictOptions(require_faster=True))
    assert 'faster (1.20x)' in verdict_line(sure, ACCURACY, ONE_FILE)
