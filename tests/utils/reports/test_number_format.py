"""Figures as people read them."""

import pytest

from pocketflow.utils.reports import number_format as figures


@pytest.mark.parametrize(
    'value, text',
    [
        (0, '0'),
        (640, '640'),
        (1000, '1.00 k'),
        (442368, '442 k'),
        (999_600, '1.00 M'),
        (41_000_000, '41.0 M'),
        (2.5e9, '2.50 G'),
    ],
)
def test_compact_has_three_digits_and_a_unit(value, text):
    assert figures.compact(value) == text


@pytest.mark.parametrize(
    'value, text',
    [(0, '0 bytes'), (458_000, '458 kB'), (99_960, '100 kB'), (1_100_000, '1.10 MB'), (12_345_678, '12.3 MB')],
)
def test_human_bytes_are_decimal(value, text):
    assert figures.human_bytes(value) == text


@pytest.mark.parametrize(
    'seconds, text',
    [
        (0.42, '0.42 s'),
        (12.34, '12.3 s'),
        (59.97, '1 min 0 s'),
        (125, '2 min 5 s'),
        (3599.7, '1 h 0 min'),
        (3725, '1 h 2 min'),
    ],
)
def test_duration_never_shows_sixty(seconds, text):
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    'before, after, text',
    [(2.4, 1, '2.40× less'), (1, 1.2, '1.20× MORE'), (3, 3, 'same'), (0, 0, 'same'), (1, 0, figures.MISSING)],
)
def test_times_says_which_way(before, after, text):
    assert figures.times(before, after, 'less', 'MORE') == text


@pytest.mark.parametrize(
    'value, text',
    [(0.5, '+0.50'), (-0.5, '-0.50'), (0.0, '0.00'), (-0.001, '0.00'), (0.004, '0.00'), (-0.006, '-0.01')],
)
def test_changes_have_a_sign_but_no_negative_zero(value, text):
    assert figures.signed(value, 2) == text
    assert str(figures.rounded(-0.001, 2)) == '0.0'


def test_missing_values_have_a_sign_of_their_own():
    assert {
        function(None) for function in (figures.milliseconds, figures.percent, figures.integer, figures.significant)
    } == {figures.MISSING}
