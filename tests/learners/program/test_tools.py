"""Commands that are no run."""

from __future__ import annotations

import json

import pytest

from tests.conftest import run_main

pytestmark = pytest.mark.usefixtures('own_folder')


def test_report_compares_finished_runs(pruned_run, trained_run, tmp_path):
    outcome = run_main('report', pruned_run.path, trained_run.path, '--page=page.html')
    assert outcome.code == 0, outcome.err
    head, *rows = outcome.out.strip().splitlines()
    assert head.split()[:3] == ['run', 'network', 'learners'] and len(rows) == 2
    report = json.loads((pruned_run.path / 'report.json').read_text())
    assert f'{report["compressed"]["file_bytes"]:,}' in rows[0]
    page = (tmp_path / 'page.html').read_text()
    assert page.startswith('<!DOCTYPE html>') and f'{report["compressed"]["file_bytes"]:,}' in page
    assert run_main('report', pruned_run.path, '--page=page.html').code == 0  # its own page is replaced


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'no run is named'),
        (['--seed=1'], '--seed=1: unknown flag'),
        (['here', '--page=a', '--page=b'], 'give one --page=FILE.html'),
        (['here'], 'here: holds no finished run'),
    ],
)
def test_what_cannot_be_compared_is_named(arguments, message):
    outcome = run_main('report', *arguments)
    assert outcome.code == 2 and message in outcome.err


def test_completion_knows_all_commands():
    outcome = run_main('completion', 'bash')
    assert outcome.code == 0 and 'benchmark report serve completion' in outcome.out
