"""Search spaces of parameters: every candidate lies inside, has the right types and keeps the orders."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketflow.hp_optimizer.space import Kind, Order, Parameter, SearchSpace
from pocketflow.utils.errors import UsageError

BEG = Parameter('beg', Kind.FLOAT, 0.0, 0.9)
END = Parameter('end', Kind.FLOAT, 0.0, 1.0)
STEPS = Parameter('steps', Kind.LOG10, 50, 2000, whole=True)
RATE = Parameter('rate', Kind.LOG10, 1e-4, 1e-1)
DEPTH = Parameter('depth', Kind.INT, 1, 4)
BATCH = Parameter('batch', Kind.CHOICE, choices=(32, 64, 128))


def space() -> SearchSpace:
    return SearchSpace([END, BEG, STEPS, RATE, DEPTH, BATCH], [Order('end', 'beg')])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_every_point_is_a_candidate_and_comes_back(point: list[float]):
    domain = space()
    values = domain.decode(np.array(point))
    assert tuple(values) == domain.names
    assert 0 <= values['beg'] <= values['end'] <= 1
    assert isinstance(values['steps'], int) and 50 <= values['steps'] <= 2000
    assert isinstance(values['depth'], int) and 1 <= values['depth'] <= 4
    assert values['batch'] in (32, 64, 128)
    again = domain.decode(domain.encode(values))
    assert all(again[name] == pytest.approx(value, rel=1e-6, abs=1e-9) for name, value in values.items())


def test_a_point_by_hand():
    # end = beg + share * (1 - beg), as the original rescaled it; 10^(log 50 + 0.5 (log 2000 - log 50)) = 316.2.
    values = space().decode(np.array([0.5, 0.5, 0.5, 1 / 3, 0.99, 0.0]))
    assert values == {
        'end': pytest.approx(0.725),
        'beg': 0.45,
        'steps': 316,
        'rate': pytest.approx(1e-3),
        'depth': 4,
        'batch': 32,
    }


def test_a_smaller_one_leaves_room_for_the_larger():
    domain = SearchSpace([Parameter('a', Kind.INT, 0, 10), Parameter('b', Kind.INT, 0, 4)], [Order('b', 'a')])
    assert domain.decode(np.array([1.0, 0.0])) == {'a': 4, 'b': 4}


def test_a_chain_of_orders():
    names = ['a', 'b', 'c']
    domain = SearchSpace([Parameter(name, Kind.FLOAT, 0, 1) for name in names], [Order('a', 'b'), Order('b', 'c')])
    for point in np.random.default_rng(0).random((50, 3)):
        values = domain.decode(point)
        assert values['a'] >= values['b'] >= values['c']
        assert domain.encode(values) == pytest.approx(point)


@pytest.mark.parametrize(
    'make, text',
    [
        (lambda: Parameter('x', Kind.FLOAT, 5, 1), 'search space, x: low 5 and high 1: low must be less than high'),
        (lambda: Parameter('x', Kind.FLOAT, 0, math.inf), 'low must be less than high'),
        (lambda: Parameter('x', Kind.LOG10, 0, 1), 'x: low 0: a log10 range must begin above 0'),
        (lambda: Parameter('x', Kind.INT, 0.5, 2), 'bounds of whole numbers must be whole'),
        (lambda: Parameter('x', Kind.CHOICE, choices=(1, 1)), 'give two or more different values'),
        (lambda: SearchSpace([BEG, BEG]), 'one or more parameters of different names'),
        (lambda: SearchSpace([BEG], [Order('end', 'beg')]), 'constraint end >= beg: end is no parameter; known: beg'),
        (lambda: SearchSpace([BEG, BATCH], [Order('batch', 'beg')]), 'batch is a choice; only numbers have an order'),
        (lambda: SearchSpace([BEG, END], [Order('end', 'beg'), Order('beg', 'end')]), 'go in a circle'),
        (
            lambda: SearchSpace([Parameter('a', Kind.INT, 0, 1), Parameter('b', Kind.INT, 2, 3)], [Order('a', 'b')]),
            'no candidate satisfies a >= b: a ends at 1, b begins at 2',
        ),
    ],
)
def test_what_leaves_nothing_to_search_is_refused(make, text: str):
    with pytest.raises(UsageError) as error:
        make()
    assert text in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'change, text',
    [
        ({'beg': 0.95}, 'beg=0.95 is outside the search space'),
        ({'depth': 2.5}, 'depth=2.5'),
        ({'batch': 33}, 'batch=33'),
        ({'beg': 0.8, 'end': 0.1}, 'breaks end >= beg: 0.1 < 0.8'),
    ],
)
def test_no_candidate_of_this_space(change: dict, text: str):
    values = space().decode(np.full(6, 0.5)) | change
    with pytest.raises(UsageError, match=text):
        space().encode(values)


def test_what_a_candidate_costs():
    assert space().cost({'depth': 3}) is None
    assert SearchSpace([DEPTH], cost=lambda values: 2 * values['depth']).cost({'depth': 3}) == 6.0
    assert SearchSpace([DEPTH], cost=lambda values: None).cost({'depth': 3}) is None


def test_another_space_has_another_fingerprint():
    prints = {
        space().fingerprint(),
        SearchSpace([BEG, END]).fingerprint(),
        SearchSpace([END, BEG]).fingerprint(),
        SearchSpace([BEG, END], [Order('end', 'beg')]).fingerprint(),
        space().fingerprint({'steps': 400}),
    }
    assert len(prints) == 5
    assert space().fingerprint() in prints
