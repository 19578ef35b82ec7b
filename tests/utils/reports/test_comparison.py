"""Several runs side by side: figures of their reports."""

from __future__ import annotations

import json

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.comparison import charts, read_reports, table, text, write_page
from pocketflow.utils.runs.records import DamagedRecordError
from tests.utils.reports.test_page import report  # noqa: F401 (a fixture)


@pytest.fixture
def runs(tmp_path, report):  # noqa: F811 (the fixture)
    """Two run directories of one name in different folders."""
    folders = [tmp_path / 'a' / 'run', tmp_path / 'b' / 'run']
    for folder, num_bytes in zip(folders, (400_000, 250_000), strict=True):
        compressed = {**report['compressed'], 'file_bytes': num_bytes}
        folder.mkdir(parents=True)
        (folder / 'report.json').write_text(json.dumps({**report, 'compressed': compressed}), encoding='utf-8')
    return [str(folder) for folder in folders]


def test_each_run_is_a_row_with_figures_relative_to_its_own_baseline(runs):
    reports = read_reports(runs)
    assert list(reports) == ['a/run', 'b/run']
    head, first, second = (dict(zip(table(reports)[0], row, strict=True)) for row in table(reports))
    before = reports['a/run']['baseline']['file_bytes']
    assert (first['bytes'], second['bytes']) == ('400,000', '250,000')
    assert second['smaller'] == f'{before / 250_000:.2f}x'
    assert len(text(reports).splitlines()) == 3 and head['run'] == 'run'


def test_one_uncompressed_file_is_drawn_once(runs):
    sizes = charts(read_reports(runs))[0]
    assert [marker.name for marker in sizes.markers] == ['uncompressed', 'a/run', 'b/run']


def test_what_is_no_run_is_refused(runs, tmp_path):
    with pytest.raises(UsageError, match='is named twice'):
        read_reports([runs[0], f'{runs[0]}/'])
    with pytest.raises(UsageError, match=r'holds no finished run \(report.json is missing\)'):
        read_reports([runs[0], str(tmp_path)])
    (tmp_path / 'b' / 'run' / 'report.json').write_text('{', encoding='utf-8')
    with pytest.raises(DamagedRecordError, match='damaged record'):
        read_reports(runs)


def test_other_metrics_cannot_be_compared(runs, tmp_path):
    path = tmp_path / 'b' / 'run' / 'report.json'
    path.write_text(path.read_text().replace('"accuracy"', '"recall"'), encoding='utf-8')
    with pytest.raises(UsageError, match=r'runs with different metrics cannot be compared: accuracy \(run\), recall'):
        read_reports(runs)


def test_only_its_own_pages_are_overwritten(runs, tmp_path):
    page = tmp_path / 'page.html'
    write_page(read_reports(runs), page)
    write_page(read_reports(runs[:1]), page)
    assert page.read_text().count('<tr><th scope="row">') == 1
    page.write_text('mine', encoding='utf-8')
    with pytest.raises(UsageError, match='is not overwritten'):
        write_page(read_reports(runs), page)
    assert page.read_text() == 'mine'
