"""Randomly changed images and TFRecord files are read, or refused by one line."""

from __future__ import annotations

import pytest

from tests.datasets.sources import fuzz

NUMBER = 60


@pytest.mark.parametrize('kind', fuzz.FORMATS)
def test_changed_files_are_read_or_refused(tmp_path, kind):
    lines = [fuzz.outcome(tmp_path, kind, number) for number in range(NUMBER)]
    assert (
        '' in lines and len({*lines}) > 3
    )  # some changes do not matter, and the others are not all found at one place
