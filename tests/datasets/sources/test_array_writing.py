"""Arrays that are written row by row."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.datasets.sources import array_writing
from pocketflow.datasets.sources.array_writing import ArrayWriter
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize('chunk', [1, 2**24])
def test_the_file_is_what_numpy_reads(chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(array_writing, 'CHUNK_BYTES', chunk)
    rows = np.arange(7 * 6, dtype=np.float32).reshape(7, 2, 3)
    writer = ArrayWriter(tmp_path / 'a.npy', 'images')
    for part in (rows[:3], rows[3:4], np.asfortranarray(rows[4:])):
        writer.append(part)
    writer.close()
    np.testing.assert_array_equal(np.load(tmp_path / 'a.npy', mmap_mode='r'), rows)
    whole = ArrayWriter(tmp_path / 'b.npy', 'images')
    whole.append(rows)
    whole.close()
    assert whole.fingerprint() == writer.fingerprint()
    assert (tmp_path / 'a.npy').read_bytes() == (tmp_path / 'b.npy').read_bytes()


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        (np.zeros((2, 3), np.float64), 'images: 3 of float32, but from number 2 on 3 of float64; all must have'),
        (np.zeros((2, 4), np.float32), 'images: 3 of float32, but from number 2 on 4 of float32'),
        (np.array(['a']), 'images: values of type <U1; numbers are needed'),
    ],
)
def test_other_rows_are_refused(rows, message, tmp_path):
    writer = ArrayWriter(tmp_path / 'a.npy', 'images')
    writer.append(np.zeros((2, 3), np.float32))
    with pytest.raises(UsageError, match=message):
        writer.append(rows)
    writer.close()
