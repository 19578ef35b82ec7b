"""Layers that are left alone because of their names."""

from __future__ import annotations

import pytest

from pocketflow.learners.layer_name_filter import refuse_unmatched_words, skipped_by_name
from pocketflow.utils.errors import UsageError

LAYERS = ('conv1', 'conv2', 'fc3')


def test_layers_are_named_by_parts_of_their_names():
    assert skipped_by_name('skip', ' fc, v1,onv,', LAYERS) == {
        'conv1': 'skip=v1',
        'conv2': 'skip=onv',
        'fc3': 'skip=fc',
    }
    assert skipped_by_name('skip', None, LAYERS) == skipped_by_name('skip', ',', LAYERS) == {}


def test_a_word_that_is_in_no_name_is_refused():
    refuse_unmatched_words('skip', 'fc,onv', LAYERS)
    refuse_unmatched_words('skip', None, LAYERS)
    with pytest.raises(
        UsageError,
        match="^--skip=fc,cnov2: no layer that can be pruned has 'cnov2' in its name; those are conv1, conv2, fc3$",
    ):
        refuse_unmatched_words('skip', 'fc,cnov2', LAYERS)
    with pytest.raises(UsageError, match='those are none$'):
        refuse_unmatched_words('skip', 'fc', ())
