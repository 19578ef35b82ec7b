from __future__ import annotations

import pytest

from pocketflow.datasets.sources.shards import check_shards, shard_name
from pocketflow.utils.errors import UsageError

NAMES = [shard_name('train', number, 12) for number in range(12)]


def of(names):
    return check_shards(names, 'train', 'data', 'some files')


def test_a_complete_set_is_in_order_whatever_lies_beside_it():
    assert of([*reversed(NAMES), 'validation-00000-of-00002', 'train.txt', 'mytrain-00000-of-00003']) == NAMES


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ([], r'^data: no train-\*-of-\* there; expected some files; there are no files$'),
        (['a.jpg'], r'there are a.jpg$'),
        (NAMES[1:9], r'^data: 4 of 12 train files are missing: train-00000-of-00012, train-00009-of-00012, '),
        ([*NAMES, 'train-00012-of-00012'], 'train-00012-of-00012: expected are numbers up to 11; remove the others'),
        ([*NAMES, 'train-00000-of-00013'], 'train files of several sets: -of-00012, -of-00013; keep one set'),
    ],
)
def test_what_is_wrong_is_named(names, message):
    with pytest.raises(UsageError, match=message):
        of(names)
