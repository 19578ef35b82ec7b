"""Records as samples."""

from __future__ import annotations

import numpy as np

from pocketflow.datasets.sources.examples import Features
from pocketflow.datasets.sources.records import RecordIndex, place
from tests.datasets.sources.conftest import write_records


def test_records_of_several_files_come_in_the_order_that_is_asked_for(tmp_path):
    for name in 'ab':
        write_records(tmp_path / name, [f'{name}{number}'.encode() for number in range(3)])
    offsets = np.arange(3) * (2 + 16)
    positions = np.stack([np.repeat([0, 1], 3), np.tile(np.arange(3), 2), np.tile(offsets, 2)], axis=1)
    zeros = np.zeros(6, np.int32)
    index = RecordIndex(
        tuple(b'%d' % number for number in range(6)),
        zeros,
        np.arange(6, dtype=np.uint64),
        (str(tmp_path / 'a'), str(tmp_path / 'b')),
        Features('image', 'label'),
        positions,
        zeros,
        zeros,
        np.zeros([6, 3], np.int32),
    )
    assert index.contents(np.array([5, 0, 3, 1])) == [b'b2', b'a0', b'b0', b'a1']
    assert index.chosen([4, 2]).contents(np.array([0, 1])) == [b'b1', b'a2']
    assert index.place(5) == place(str(tmp_path / 'b'), 2, 36) == f'{tmp_path}/b, record 2 (at byte 36)'
