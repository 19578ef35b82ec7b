"""What every domain has without doing anything for it, and how domains are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.hp_optimizer.domain import Domain


class Line(Domain):
    """One number from 0 to `length`."""

    names = ('x', 'y')

    def __init__(self, length: float = 1.0):
        self.length = length

    def decode(self, point):
        return {'x': self.length * point[0], 'y': self.length * point[1]}

    def encode(self, values):
        return np.array([values['x'], values['y']]) / self.length

    def description(self):
        return {'length': self.length}


def test_no_cost_and_no_features_unless_there_are_some():
    line = Line()
    assert line.cost({'x': 0.5, 'y': 0.1}) is None
    assert line.static_features().shape == (2, 0) and line.step_features({'x': 0.5}).shape == (0,)


@pytest.mark.parametrize('other', [(Line(2.0), None), (Line(), {'steps': 1})])
def test_another_domain_or_context_has_another_fingerprint(other):
    domain, context = other
    assert Line().fingerprint() == Line().fingerprint({}) != domain.fingerprint(context)
    assert len(domain.fingerprint(context)) == 16


def test_the_order_of_a_context_does_not_matter():
    assert Line().fingerprint({'a': 1, 'b': 2}) == Line().fingerprint({'b': 2, 'a': 1})
