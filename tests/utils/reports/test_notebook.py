"""A report in a notebook."""

from __future__ import annotations

import copy

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.notebook import Report


def test_figures_are_those_of_the_file(pruned_run):
    data, report = pruned_run.report, Report(pruned_run.report, pruned_run.path)
    assert (
        report.metrics == data['compressed']['file_metrics']
        and report.metrics_before == data['baseline']['file_metrics']
    )
    verdict = data['verdict']
    assert (report.smaller, report.faster, report.size_ratio, report.speedup, report.metric_drop) == tuple(
        verdict[key] for key in ('smaller', 'faster', 'size_ratio', 'speedup', 'metric_drop')
    )
    assert report.macs_left == 265_728 / 938_496
    assert str(report).splitlines()[-1].startswith('verdict: ')


def test_without_compression_there_is_no_verdict(trained_run):
    report = Report(trained_run.report, trained_run.path)
    assert (report.smaller, report.speedup, report.macs_left) == (None, None, 1)
    assert 'Nothing was compressed.' in report._repr_html_()


def test_the_fragment_shows_the_figures_and_escapes_names(pruned_run):
    data = copy.deepcopy(pruned_run.report)
    data['exports'][0]['path'] = '<script>alert(1)</script>.tflite'
    html = Report(data, pruned_run.path)._repr_html_()
    assert '<script' not in html and '&lt;script&gt;' in html
    assert f'{data["compressed"]["file_bytes"]:,}' in html and 'http' not in html


def test_a_page_is_copied_and_replaces_no_other_file(pruned_run, tmp_path):
    report = Report(pruned_run.report, pruned_run.path)
    copy_of_page = report.save(tmp_path / 'page.html')
    assert copy_of_page.read_text() == report.path.read_text() and report.save(copy_of_page) == copy_of_page
    (tmp_path / 'mine.html').write_text('mine')
    with pytest.raises(UsageError, match=r'mine\.html: exists, with other content'):
        report.save(tmp_path / 'mine.html')
    with pytest.raises(UsageError, match='is a folder'):
        report.save(tmp_path)
