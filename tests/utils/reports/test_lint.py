from __future__ import annotations

from typing import Any

import pytest

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.reports.lint import (
    SHAPE,
    delegation_table,
    enforce_delegation,
    enforce_full_delegation,
    lint_text,
    shared_findings,
    shared_lines,
    shared_reasons,
    sparse_lines,
    sparse_words,
)
from pocketflow.utils.reports.page import page_environment
from pocketflow.utils.runs.records import mismatches


def delegate(name: str, operations: int, share: float, **changed: Any) -> dict[str, Any]:
    falls_off = [{'operator': 'GELU', 'count': 2 - operations + 1, 'reason': 'unknown'}] if operations < 3 else []
    entry = {'name': name, 'title': name.upper(), 'asked': False, 'operations': operations, 'macs_share': share}
    return {**entry, 'parts': None, 'note': '', 'falls_off': falls_off, **changed}


RECORD = {
    'operations': 3,
    'macs': 100,
    'delegates': [delegate('xnnpack', 3, 1.0, asked=True, parts=2), delegate('gpu', 2, 0.25)],
    'operators': [
        {'operator': 'CONV_2D', 'count': 2, 'macs': 100, 'taken': {'xnnpack': 2, 'gpu': 2}},
        {'operator': 'GELU', 'count': 1, 'macs': 0, 'taken': {'xnnpack': 1, 'gpu': 0}},
    ],
    'findings': [
        {
            'check': 'rank',
            'concerns': 'GPU',
            'text': 'five axes',
            'count': 2,
            'places': ['a'],
            'remedy': 'fewer',
            'rewrite': 'gpu',
        }
    ],
    'sparse': {'zeros': 0.75, 'failed': ['no stem']},
    'observed': False,
}
EXPORTS = [{'format': name, 'path': f'model_{name}.tflite', 'lint': RECORD} for name in ('float32', 'float16')]


def test_the_record_has_its_shape():
    assert not [*mismatches(RECORD, SHAPE)]
    assert [*mismatches({**RECORD, 'sparse': 3}, SHAPE)]


def test_the_text_of_a_file():
    lines = lint_text('x.tflite', RECORD).splitlines()
    assert lines[0] == 'x.tflite: 3 operations, 100 multiply-adds (MACs)'
    table = [line.split() for line in lines[2:7]]
    assert table[0] == ['operator', 'count', 'MACs', 'XNNPACK', 'GPU']
    assert table[1][-2:] == ['all', 'all'] and table[2] == ['GELU', '1', 'all', 'none']
    assert table[3] == ['all', '3', '3', '2']
    text = '\n'.join(lines)
    assert 'XNNPACK runs 3 of 3 operations in 2 parts' in text and 'asked of LiteRT' in text
    assert 'not on GPU: 1 GELU: unknown' in text
    assert 'rank (GPU): five axes' in text and '2 operations, at a, ...' in text
    assert 'remedy: fewer (--rewrite_for=gpu does it at the export)' in text
    assert 'not checked, no samples at hand' in text and 'computes them densely: no stem' in text


def test_sparse_inference_in_words():
    assert 'all rules of XNNPACK hold' in sparse_words({'zeros': 0.75, 'failed': []})


def test_files_of_a_report_share_lines():
    table = delegation_table(EXPORTS)
    assert table[0] == ('file', 'XNNPACK ops', 'GPU ops', 'XNNPACK MACs', 'GPU MACs')
    assert table[1][:3] == ('model_float32.tflite', '3 of 3 in 2 parts', '2 of 3') and len(table) == 3
    (finding,), (reason,) = shared_findings(EXPORTS), shared_reasons(EXPORTS)
    assert finding['formats'] == reason['formats'] == ['float32', 'float16']
    assert [line.split(':')[0] for line in shared_lines(EXPORTS)][:2] == [
        'not on GPU (float32, float16)',
        'rank (GPU; float32, float16)',
    ]


def test_reports_without_lint():
    old = [{'format': 'float32', 'path': 'x'}]
    assert delegation_table(old) == [] == shared_findings(old) == shared_reasons(old)


def test_the_required_delegate():
    enforce_delegation('x', RECORD, None)
    enforce_delegation('x', RECORD, 'xnnpack')
    with pytest.raises(PocketFlowError, match=r'x: 1 of 3 operations fall off GPU, such as 1 GELU \(unknown\)'):
        enforce_delegation('x', RECORD, 'gpu')
    unasked = {**RECORD, 'delegates': [delegate('xnnpack', 3, 1.0, note='LiteRT crashed')]}
    with pytest.raises(PocketFlowError, match='LiteRT crashed'):
        enforce_delegation('x', unasked, 'xnnpack')


def test_the_first_file_of_a_report_counts():
    enforce_full_delegation(EXPORTS, 'xnnpack')
    enforce_full_delegation([], None)
    with pytest.raises(PocketFlowError, match='no exported file can be run'):
        enforce_full_delegation([{'format': 'pfz', 'path': 'x'}], 'gpu')


def test_the_section_of_the_page():
    exports = [{**EXPORTS[0], 'format': '<b>'}, EXPORTS[1]]
    text = (
        page_environment()
        .get_template('lint.html')
        .render(
            delegation=delegation_table(exports),
            fallen=shared_reasons(exports),
            findings=shared_findings(exports),
            sparse=sparse_lines(exports),
        )
    )
    assert text.count('<tr>') == 3 and '<th scope="row">model_float16.tflite</th><td>3 of 3 in 2 parts</td>' in text
    assert 'Not on GPU (&lt;b&gt;, float16): 1 GELU: unknown.' in text
    assert '--rewrite_for=gpu' in text and 'computes them densely: no stem' in text
    empty = page_environment().get_template('lint.html').render(delegation=[], fallen=[], findings=[], sparse=[])
    assert not empty.strip()
