"""Randomly changed files of each format are read, or refused by one line."""

from __future__ import annotations

import pytest

from tests.utils.models import fuzz

NUMBER = 50
"""Changed files of each format. `python -m tests.utils.models.fuzz --number=5000` reads more of them by hand."""


@pytest.fixture(scope='module')
def sound(tmp_path_factory, keras3_folder):
    """A folder with a small model in each format."""
    folder = tmp_path_factory.mktemp('fuzz')
    for name in ('small.keras', 'small.h5'):
        (folder / name).write_bytes((keras3_folder / name).read_bytes())
    fuzz.write_keras2(folder)
    return folder


@pytest.mark.parametrize('kind', fuzz.FORMATS)
@pytest.mark.filterwarnings('ignore:Duplicate name', 'ignore:You are saving your model as an HDF5 file')
def test_changed_files_are_read_or_refused(sound, tmp_path, kind):
    lines = [fuzz.outcome(sound, kind, number, tmp_path) for number in range(NUMBER)]
    assert '' in lines  # some changes do not matter
    assert len(set(lines)) > NUMBER / 10  # and the others are not all stopped at the same place
