"""JSON that nobody vouches for."""

from __future__ import annotations

import pytest

from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.container.fields import Fields

SOUND = {'number': 3, 'text': 'abc', 'list': [1, 2], 'object': {'number': 1}}


def test_sound_fields_are_given_as_they_are():
    fields = Fields(SOUND, 'it')
    assert fields.integer('number', 3, 3) == 3 and fields.text('text', 3) == 'abc'
    assert fields.one_of('text', ['abc']) == 'abc' and fields.items('list', 2) == [1, 2]
    assert fields.object('object').integer('number', 0, 1) == 1


@pytest.mark.parametrize(
    ('take', 'message'),
    [
        (lambda f: f.any('x'), "it has no 'x'"),
        (lambda f: f.integer('number', 4, 9), "'number' of it is not an integer in 4..9"),
        (lambda f: f.integer('text', 0, 9), "'text' of it is not an integer in 0..9"),
        (lambda f: f.text('text', 2), "'text' of it is not a text of at most 2 characters"),
        (lambda f: f.text('number', 2), "'number' of it is not a text"),
        (lambda f: f.one_of('text', ['abd', 'abe']), "'text' of it is 'abc'; known: abd, abe"),
        (lambda f: f.one_of('list', ['abd']), "'list' of it is .*; known: abd"),
        (lambda f: f.items('list', 1), "'list' of it is not a list of at most 1 items"),
        (lambda f: f.items('text', 9), "'text' of it is not a list"),
        (lambda f: f.object('list'), "'list' of it is not a JSON object"),
        (lambda f: f.object('object').integer('number', 2, 3), "'number' of 'object' of it is not"),
    ],
)
def test_others_are_refused_by_name(take, message):
    with pytest.raises(UnreadableError, match=message):
        take(Fields(SOUND, 'it'))


@pytest.mark.parametrize('value', [True, 1.0, None, '1'])
def test_only_integers_are_integers(value):
    with pytest.raises(UnreadableError, match='not an integer'):
        Fields({'n': value}, 'it').integer('n', 0, 5)
