from __future__ import annotations

import pytest

from pocketflow.utils.export.lint.checks.structure import MOST_PARTS
from pocketflow.utils.export.lint.delegation import ask
from pocketflow.utils.export.lint.findings import CHECKS, Subject
from pocketflow.utils.export.lint.graph import FileGraph, Operation, Tensor
from pocketflow.utils.export.lint.linter import lint_file

CLEAN, SEQUENCE, DEEP = ('clean', 'float32'), ('sequence', 'float32'), ('deep', 'float32')


@pytest.fixture(scope='module')
def found(files):
    """File -> the findings of all checks."""
    return {key: lint_file(path, ask=ask).findings for key, path in files.items()}


@pytest.mark.parametrize(
    ('check', 'key', 'count', 'rewrite'),
    [
        ('many-inputs', SEQUENCE, 1, 'gpu'),
        ('mean-axes', SEQUENCE, 1, 'gpu'),
        ('missing-bias', SEQUENCE, 1, ''),
        ('convolution-1d', SEQUENCE, 1, ''),
        ('layer-norm', SEQUENCE, 1, 'gpu'),
        ('activations', SEQUENCE, 1, ''),
        ('rank', DEEP, 3, ''),
        ('dynamic-shapes', ('open', 'float32'), 2, ''),
        ('hybrid', ('dense', 'dynamic'), 1, ''),
        ('float-islands', ('island', 'int8'), 1, ''),
    ],
)
def test_a_file_that_triggers_a_check_and_one_that_does_not(found, check, key, count, rewrite):
    first = next(finding for finding in found[key] if finding.check == check)
    assert (first.count, first.rewrite) == (count, rewrite)
    assert first.places and first.remedy and first.concerns
    assert not found[CLEAN]


def test_an_open_shape_is_one_finding_and_not_one_of_each_activation(found):
    assert [finding.check for finding in found['open', 'float32']] == ['dynamic-shapes']


def test_an_integer_file_without_islands_has_no_findings(found):
    assert not found['clean', 'int8']


def test_the_limit_of_parts_is_inclusive():
    tensor = Tensor(0, 'x', (1, 4), 'FLOAT32')

    def checked(number: int) -> list:
        graph = FileGraph((Operation(0, 'CONCATENATION', 1, (tensor,) * number, (tensor,)),), (), ())
        return list(CHECKS.get('many-inputs')(Subject(graph)))

    assert not checked(MOST_PARTS) and checked(MOST_PARTS + 1)


def test_open_axes_and_control_flow():
    fixed, open_axis = Tensor(0, 'x', (1, 4), 'FLOAT32'), Tensor(1, 'y', (1, 4), 'FLOAT32', open_axes=(0,))
    operations = (Operation(0, 'RELU', 1, (fixed,), (open_axis,)), Operation(1, 'WHILE', 1, (fixed,), (fixed,)))
    first, second = CHECKS.get('dynamic-shapes')(Subject(FileGraph(operations, (), (), 7)))
    assert 'open axes' in first.text and 'control flow with 7 operations' in second.text
    assert not [*CHECKS.get('dynamic-shapes')(Subject(FileGraph((), (), ())))]
