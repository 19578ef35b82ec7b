from __future__ import annotations

from pocketflow.utils.export.lint.findings import CHECKS, Subject
from pocketflow.utils.export.lint.graph import FileGraph, Operation, Tensor


def test_hybrid_convolutions(graphs):
    (finding,) = CHECKS.get('hybrid')(Subject(graphs['dense', 'dynamic']))
    assert '(1 FULLY_CONNECTED)' in finding.text
    assert not [*CHECKS.get('hybrid')(Subject(graphs['clean', 'int8']))]
    assert not [*CHECKS.get('hybrid')(Subject(graphs['clean', 'float32']))]


def test_a_float_operation_between_integer_ones(graphs):
    floats, codes = Tensor(0, 'x', (1, 4), 'FLOAT32'), Tensor(1, 'y', (1, 4), 'INT8')
    kernel = Tensor(2, 'w', (4, 4), 'INT8', b'0' * 16)
    graph = FileGraph(
        (
            Operation(0, 'QUANTIZE', 1, (floats,), (codes,)),
            Operation(1, 'FULLY_CONNECTED', 1, (codes, kernel), (codes,)),
            Operation(2, 'DEQUANTIZE', 1, (codes,), (floats,)),
            Operation(3, 'GELU', 1, (floats,), (floats,)),
            Operation(4, 'QUANTIZE', 1, (floats,), (codes,)),
        ),
        (),
        (),
    )
    (finding,) = CHECKS.get('float-islands')(Subject(graph))
    assert (finding.count, '1 GELU), with 3 conversions' in finding.text) == (1, True)
    for key in (('clean', 'int8'), ('clean', 'float32'), ('dense', 'dynamic')):
        assert not [*CHECKS.get('float-islands')(Subject(graphs[key]))]
