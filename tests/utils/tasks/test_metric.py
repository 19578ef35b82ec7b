from __future__ import annotations

import pytest

from pocketflow.utils.tasks.metric import ACCURACY, Metric, plain

ERROR = Metric('mae', 'mean absolute error', higher_is_better=False, unit='px')


def test_json_round_trip():
    assert Metric.from_json(ERROR.to_json()) == ERROR


def test_the_label_is_the_name_unless_given():
    assert (Metric('f1').label, ERROR.label) == ('f1', 'mean absolute error')


def test_direction():
    assert ACCURACY.drop(0.9, 0.85) == pytest.approx(0.05) and ERROR.drop(2.0, 2.5) == pytest.approx(0.5)
    assert ACCURACY.drop(0.9, 0.95) < 0 and ERROR.drop(2.0, 1.5) < 0
    assert (ACCURACY.quality(0.9), ERROR.quality(2.0)) == (0.9, -2.0)


@pytest.mark.parametrize(
    ('metric', 'before', 'drop', 'tolerated'),
    [(ACCURACY, 0.9, 0.01, True), (ACCURACY, 0.9, 0.011, False), (ERROR, 2.0, 0.02, True), (ERROR, 2.0, 0.021, False)],
)
def test_a_small_drop_is_tolerated(metric, before, drop, tolerated):
    assert metric.is_tolerated(before, drop) == tolerated


def test_words():
    assert (ACCURACY.text(0.9125), ERROR.text(2.0), ACCURACY.text(None)) == ('91.25 %', '2.0000 px', '–')
    assert (ACCURACY.change(0.871, 0.863), ERROR.change(2.0, 2.5)) == ('-0.80 points', '+0.5000 px')
    assert ACCURACY.change(0.9, 0.9 - 1e-9) == '0.00 points' and ERROR.change(2.0, None) == ''
    assert (ACCURACY.drop_words(0.0144), ACCURACY.drop_words(-0.05)) == ('drop 1.44 points', 'gain 5.00 points')
    assert (ERROR.drop_words(0.012), ERROR.drop_words(-0.5)) == ('0.0120 px worse', '0.5000 px better')
    missed = Metric('missed', higher_is_better=False, is_share=True)
    assert (missed.drop_words(0.012), missed.drop_words(-0.05)) == ('1.20 points worse', '5.00 points better')
    assert (ACCURACY.axis, ERROR.axis, Metric('loss').axis) == ('accuracy (%)', 'mean absolute error (px)', 'loss')
    assert (plain(0.5), plain(12345.6)) == ('0.5000', '1.235e+04')
