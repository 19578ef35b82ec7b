from __future__ import annotations

import pytest

from pocketflow.learners.channel_pruning.list_file import by_layer, read_list
from pocketflow.utils.errors import UsageError


def test_numbers_are_separated_by_commas_or_white_space(tmp_path):
    (tmp_path / 'ratio.list').write_text('1.0,0.5, 0.25\n.75\n')
    assert read_list(str(tmp_path / 'ratio.list'), 'list', 'ratios', lambda number: 0 <= number <= 1) == (
        1.0,
        0.5,
        0.25,
        0.75,
    )


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'0.5,1.5', '1.5 is out of range; give ratios$'),
        (b'0.5,half', "'half' is no number; give ratios, separated by commas$"),
        (b' \n', 'the file is empty; give ratios'),
        (b'\xff\xfe', 'cannot read the file'),
        (None, 'cannot read the file'),
    ],
)
def test_what_is_no_list_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'ratio.list').write_bytes(content)
    with pytest.raises(UsageError, match=f'^--list=.*ratio.list: {message}'):
        read_list(str(tmp_path / 'ratio.list'), 'list', 'ratios', lambda number: 0 <= number <= 1)


def test_each_layer_has_a_number():
    assert by_layer([0.5, 1.0], ['a', 'b'], 'f', 'list') == {'a': 0.5, 'b': 1.0}
    with pytest.raises(UsageError, match='--list=f: 1 numbers for 2 convolutions; give one for each, .*: a, b$'):
        by_layer([0.5], ['a', 'b'], 'f', 'list')
