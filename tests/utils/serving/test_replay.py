"""What is expected of a server, and what is counted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.serving.replay import (
    Outcome,
    Way,
    coded,
    expected_answers,
    expected_outputs,
    is_equal,
    replay,
    samples_of,
    table,
)
from pocketflow.utils.serving.served_file import read_served_file
from tests.utils.serving.conftest import LABELS, Files

SAMPLES = np.random.default_rng(2).standard_normal((5, 4)).astype(np.float32)


def test_expected_answers_are_those_of_the_file(files: Files):
    served = read_served_file(files.int8)
    codes = expected_outputs(files.int8, {'values': coded(served.inputs[0], SAMPLES)})
    assert codes['scores'].dtype == np.int8
    answers = expected_answers(served, codes, 'labels', raw=False)
    assert np.array_equal(answers['scores'], LiteRtRunner(files.int8).predict(SAMPLES))
    assert answers['labels'].tolist() == [LABELS[place] for place in np.argmax(codes['scores'], axis=1)]
    assert expected_answers(served, codes, 'labels', raw=True)['scores'] is codes['scores']


def test_answers_are_compared_in_names_types_shapes_and_bits():
    expected = {'y': np.array([[1.0, -0.0]], np.float32), 'labels': np.array(['a'])}
    assert is_equal({'labels': np.array(['a']), 'y': np.array([[1.0, -0.0]], np.float32)}, expected, 0)
    for wrong in (
        {'y': np.array([[1.0, 0.0]], np.float32)},  # another sign of zero
        {'y': np.array([[1.0, -0.0]])},
        {'y': np.array([1.0, -0.0], np.float32)},
        {'labels': np.array(['b'])},
    ):
        assert not is_equal({**expected, **wrong}, expected, 0)
    assert not is_equal({'y': expected['y']}, expected, 0)


class Doubling:
    """A client that answers by itself, the sample 3 wrong."""

    closed = 0

    def infer(self, inputs: Mapping[str, np.ndarray], raw: bool = False) -> dict[str, np.ndarray]:
        return {'y': inputs['x'] * (2 if inputs['x'][0] != 3 else 5)}

    def close(self) -> None:
        type(self).closed += 1


INPUTS = {'x': np.arange(7, dtype=np.float32)}


def test_wrong_answers_are_counted_and_clients_closed():
    before = Doubling.closed
    outcome = replay(Way('ours', Doubling), INPUTS, {'y': 2 * INPUTS['x']}, 3, lambda: None)
    assert (outcome.num_equal, outcome.num_samples, len(outcome.latencies)) == (6, 7, 7) and outcome.rate > 0
    assert Doubling.closed - before == 4


def test_failures_of_clients_and_of_the_check_are_raised():
    class Failing(Doubling):
        number = 0

        def infer(self, inputs: Mapping[str, np.ndarray], raw: bool = False) -> dict[str, np.ndarray]:
            Failing.number += 1
            if Failing.number > 14:  # after warm-up and the first pass
                raise PocketFlowError('gone')
            return super().infer(inputs)

    def stop() -> None:
        raise PocketFlowError('stopped')

    with pytest.raises(PocketFlowError, match='gone'):
        replay(Way('ours', Failing), INPUTS, {'y': 2 * INPUTS['x']}, 2, lambda: None)
    with pytest.raises(PocketFlowError, match='stopped'):
        replay(Way('ours', Doubling), INPUTS, {'y': 2 * INPUTS['x']}, 2, stop)


def test_samples_keep_their_first_axis():
    assert [sample['x'].tolist() for sample in samples_of({'x': np.array([[1], [2]])})] == [[[1]], [[2]]]


def test_the_table_has_percentiles_in_milliseconds():
    latencies = [0.001] * 98 + [0.003, 0.003]
    head, row = table([Outcome('REST', 99, 100, latencies, 123.4)], 4).splitlines()
    assert 'requests/s, 4 clients' in head and row.split() == ['REST', '99', 'of', '100', '1.00', '3.00', '123']
