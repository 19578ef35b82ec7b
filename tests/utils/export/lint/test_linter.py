from __future__ import annotations

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.lint.delegation import Delegation, ask
from pocketflow.utils.export.lint.linter import UNEXPLAINED, lint_file


def test_a_clean_file_runs_on_every_delegate(files):
    result = lint_file(files['clean', 'float32'])
    assert all(support.is_complete for support in result.support) and not result.findings
    assert [support.is_asked for support in result.support] == [True, False, False]
    assert [result.share_of_macs(support) for support in result.support] == [1.0, 1.0, 1.0]


def test_rows_and_reasons(files):
    record = lint_file(files['sequence', 'float32'], ask=ask).to_json()
    rows = {row['operator']: row for row in record['operators']}
    assert rows['CONCATENATION']['taken'] == {'xnnpack': 0, 'gpu': 1, 'nnapi': 1}
    assert record['operators'][0]['macs'] == max(row['macs'] for row in record['operators'])
    assert sum(row['macs'] for row in record['operators']) == record['macs']
    assert sum(row['count'] for row in record['operators']) == record['operations']
    xnnpack, _, nnapi = record['delegates']
    assert xnnpack['falls_off'] == [{'operator': 'CONCATENATION', 'count': 1, 'reason': 'required: 2 to 4 inputs'}]
    assert xnnpack['parts'] == 2 and [entry['operator'] for entry in nnapi['falls_off']] == ['GELU']


def test_the_answer_of_the_runtime_counts(files):
    result = lint_file(files['clean', 'float32'], ask=lambda path: Delegation((frozenset({0}),)))
    xnnpack = result.of('xnnpack')
    assert xnnpack.reasons == {1: UNEXPLAINED, 2: UNEXPLAINED}
    assert result.share_of_macs(xnnpack) == 3888 / 3900


def test_rules_stand_in_for_a_runtime_that_cannot_be_asked(files):
    xnnpack = lint_file(files['clean', 'float32'], ask=lambda path: Delegation(None, 'it crashed')).of('xnnpack')
    assert (xnnpack.is_asked, xnnpack.note, xnnpack.taken) == (False, 'it crashed', {0, 1, 2})


def test_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match='there is no such file'):
        lint_file(tmp_path / 'x.tflite')
