"""The per-layer problem: candidates keep the budget, the centre is the uniform solution, wrong problems are refused."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.hp_optimizer.budget import TOLERANCE
from pocketflow.hp_optimizer.problem import Layer, SearchProblem
from pocketflow.utils.errors import UsageError

SIZES = {'a': 100, 'b': 200, 'c': 700}


def bits_problem(bits: float = 4, **changes) -> SearchProblem:
    layers = [Layer(name, 2, 8, lambda value, size=size: size * value, (size / 700,)) for name, size in SIZES.items()]
    return SearchProblem(
        layers, bits * 1000, **{'integer': True, 'describe': lambda cost: f'{cost / 1000:g} bits', **changes}
    )


def sparsity_problem(sparsity: float = 0.75) -> SearchProblem:
    layers = [
        Layer(name, 0.25, 1 - 0.25 / 3, lambda value, size=size: size * (1 - value)) for name, size in SIZES.items()
    ]
    return SearchProblem(layers, 1000 * (1 - sparsity))


def channel_problem(ratio: float = 0.5) -> SearchProblem:
    """Multiply-adds of a chain of convolutions: each depends on its own and its neighbour's ratio."""
    layers = [Layer(name, 0.1, 1.0) for name in SIZES]

    def macs(values) -> float:
        a, b, c = values.values()
        return 100 * a + 200 * a * b + 700 * b * c

    return SearchProblem(layers, 1000 * ratio, total_cost=macs)


PROBLEMS = [bits_problem, sparsity_problem, channel_problem]


@pytest.mark.parametrize('make', PROBLEMS)
def test_every_point_is_a_candidate_that_uses_its_budget(make):
    problem = make()
    for point in np.random.default_rng(0).random((30, 3)):
        values = problem.decode(point)
        assert problem.cost(values) <= problem.budget * (1 + 1e-9)
        assert problem.integer or problem.cost(values) >= problem.budget * (1 - TOLERANCE)
        assert all(isinstance(value, int if problem.integer else float) for value in values.values())
        assert problem.project(values) == values
        again = problem.decode(problem.encode(values))
        assert list(again.values()) == pytest.approx(list(values.values()), abs=1e-5)


@pytest.mark.parametrize('make, value', [(bits_problem, 4), (sparsity_problem, 0.75)])
def test_the_centre_is_the_uniform_solution(make, value: float):
    problem = make()
    assert list(problem.decode(np.full(3, 0.5)).values()) == pytest.approx([value] * 3, abs=1e-6)
    assert list(problem.uniform().values()) == pytest.approx([value] * 3, abs=1e-6)
    assert problem.encode(problem.uniform()) == pytest.approx(np.full(3, 0.5), abs=1e-5)


def test_the_uniform_solution_of_a_cost_that_does_not_add_up():
    # 100 v + 900 v^2 = 500.
    root = (-100 + np.sqrt(100**2 + 4 * 900 * 500)) / 1800
    assert list(channel_problem().uniform().values()) == pytest.approx([root] * 3, abs=1e-5)


def test_the_sides_of_the_centre_reach_to_the_bounds():
    problem = sparsity_problem()
    assert problem.from_unit(np.array([0.0, 0.25, 1.0])) == pytest.approx([0.25, 0.5, 1 - 0.25 / 3])
    assert problem.to_unit(problem.from_unit(np.array([0.1, 0.5, 0.8]))) == pytest.approx([0.1, 0.5, 0.8])


def test_a_fixed_layer_stays():
    layers = [
        Layer('head', 0, 0, lambda value: 100 * (1 - value)),
        Layer('body', 0, 1, lambda value: 900 * (1 - value)),
    ]
    problem = SearchProblem(layers, 400)
    values = problem.decode(np.array([0.9, 0.1]))
    assert values == {'head': 0, 'body': pytest.approx(2 / 3, abs=1e-5)}
    assert problem.encode(values) == pytest.approx([0.5, 0.5], abs=1e-5)


def test_more_budget_than_can_be_used():
    assert bits_problem(9).decode(np.array([0.0, 0.5, 1.0])) == {'a': 8, 'b': 8, 'c': 8}


def test_a_budget_out_of_reach_names_the_range():
    with pytest.raises(UsageError) as error:
        bits_problem(1.5)
    assert str(error.value) == (
        '1.5 bits is out of reach: with the bounds of these 3 layers from 2 bits to 8 bits is reachable'
    )


@pytest.mark.parametrize(
    'layers, text',
    [
        ([], 'one or more layers of different names'),
        ([Layer('a', 2, 8, float), Layer('a', 2, 8, float)], 'one or more layers of different names'),
        ([Layer('a', 8, 2, float)], 'layer a: bounds 8 to 2 are reversed'),
        ([Layer('a', 2.5, 8, float)], 'layer a: bounds 2.5 to 8 must be whole numbers'),
        ([Layer('a', 2, 8)], 'layer a has no cost, and the network no total_cost'),
    ],
)
def test_a_wrong_problem_is_refused(layers: list[Layer], text: str):
    with pytest.raises(UsageError, match=text):
        SearchProblem(layers, 10, integer=True)


@pytest.mark.parametrize(
    'values, text',
    [
        ({'a': 8, 'b': 8, 'c': 8}, 'the candidate, 8 bits, is over 4 bits'),
        ({'a': 4, 'b': 4, 'c': 1}, 'layer c: 1 is'),
        ({'a': 4, 'b': 4.5, 'c': 2}, 'layer b: 4.5 is not a whole number'),
        ({'a': 4}, 'values for a, b, c, not for a'),
    ],
)
def test_no_candidate_of_this_problem(values: dict, text: str):
    with pytest.raises(UsageError, match=text):
        bits_problem().encode(values)


def test_the_state_of_the_budget():
    problem = bits_problem()
    # Free: 4000 - 2000. With nothing decided 2000 of the 6000 between all cheapest and all dearest can be granted.
    assert problem.step_features({}) == pytest.approx([0, 1 / 3])
    # a at 8 takes 600 of 2000, and leaves 1400 of what b and c could take, 5400.
    assert problem.step_features({'a': 8}) == pytest.approx([0.3, 1400 / 5400])
    assert problem.step_features({'a': 8, 'b': 8, 'c': 2}) == pytest.approx([0.9, 0])
    assert problem.static_features().tolist() == [[100 / 700], [200 / 700], [1]]


def test_another_problem_has_another_fingerprint():
    assert len({make().fingerprint() for make in PROBLEMS} | {bits_problem(5).fingerprint()}) == 4
    assert bits_problem().fingerprint() == bits_problem().fingerprint()
