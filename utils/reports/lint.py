"""Text of the lint of a file, for the terminal and for the report; `record` is `LintResult.to_json()`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.runs.records import Number, Record

_COUNT = Number(low=0)
SHAPE = {
    'operations': _COUNT,
    'macs': _COUNT,
    'delegates': [
        {
            'name': str,
            'title': str,
            'asked': bool,
            'operations': _COUNT,
            'macs_share': float,
            'parts': (_COUNT, None),
            'note': str,
            'falls_off': [{'operator': str, 'count': _COUNT, 'reason': str}],
        }
    ],
    'operators': [{'operator': str, 'count': _COUNT, 'macs': _COUNT, 'taken': {...: _COUNT}}],
    'findings': [
        {'check': str, 'concerns': str, 'text': str, 'count': _COUNT, 'places': [str], 'remedy': str, 'rewrite': str}
    ],
    'sparse': ({'zeros': float, 'failed': [str]}, None),
    'observed': bool,
}
"""Shape of the record in `report.json`; see `pocketflow.utils.runs.records`."""
SPARSE_MACHINES = 'sparse kernels are for ARM; on x86 only processors without AVX use them'


def lint_text(name: str, record: Record) -> str:
    """The whole result for a file: the table of operators, what falls off, and the findings with their remedies."""
    return '\n'.join(
        [
            f'{name}: {record["operations"]} operations, {record["macs"]:,} multiply-adds (MACs)',
            '',
            _aligned(operator_rows(record)),
            '',
            *(delegate_words(delegate, record['operations']) for delegate in record['delegates']),
            '',
            *finding_lines(record),
        ]
    )


def operator_rows(record: Record) -> list[tuple[str, ...]]:
    """Rows of operator, count, share of the MACs, and the number that each delegate runs, with a header and totals."""
    delegates = record['delegates']
    rows: list[tuple[str, ...]] = [('operator', 'count', 'MACs', *(each['title'] for each in delegates))]
    for row in record['operators']:
        taken = [row['taken'].get(each['name'], 0) for each in delegates]
        rows.append(
            (
                row['operator'],
                str(row['count']),
                _share(row['macs'], record['macs']),
                *('all' if count == row['count'] else f'{count}' if count else 'none' for count in taken),
            )
        )
    rows.append(('all', str(record['operations']), '', *(str(each['operations']) for each in delegates)))
    rows.append(('share of MACs', '', '', *(figures.percent(each['macs_share']) for each in delegates)))
    return rows


def _share(macs: int, total: int) -> str:
    return figures.percent(macs / total) if macs else ''


def delegate_words(delegate: Record, num_operations: int) -> str:
    """`XNNPACK runs 91 of 111 operations in 20 parts (asked of LiteRT on this machine)`."""
    parts = delegate['parts']
    how = 'asked of LiteRT on this machine' if delegate['asked'] else 'by its documented rules'
    note = f'; {delegate["note"]}' if delegate['note'] else ''
    split = f' in {parts} parts, between which the CPU kernels take over' if parts is not None and parts > 1 else ''
    return f'{delegate["title"]} runs {delegate["operations"]} of {num_operations} operations{split} ({how}{note})'


def finding_lines(record: Record) -> Iterator[str]:
    """Lines on what falls off, the findings, and sparse inference."""
    for delegate in record['delegates']:
        for entry in delegate['falls_off']:
            yield f'not on {delegate["title"]}: {entry["count"]} {entry["operator"]}: {entry["reason"]}'
    for finding in record['findings']:
        yield f'{finding["check"]} ({finding["concerns"]}): {finding["text"]}'
        yield f'    {places_words(finding)}'
        yield f'    remedy: {remedy_words(finding)}'
    if not record['observed']:
        yield 'ranges of float activations against float16: not checked, no samples at hand'
    if record['sparse']:
        yield sparse_words(record['sparse'])


def places_words(finding: Record) -> str:
    """`3 operations, at a, b, ...`."""
    count, places = finding['count'], finding['places']
    more = ', ...' if count > len(places) else ''
    return f'{count} operation{"" if count == 1 else "s"}, at {", ".join(places)}{more}'


def remedy_words(finding: Record) -> str:
    rewrite = f' (--rewrite_for={finding["rewrite"]} does it at the export)' if finding['rewrite'] else ''
    return f'{finding["remedy"]}{rewrite}'


def sparse_words(sparse: Record) -> str:
    """Whether XNNPACK's sparse kernels apply, and which rules fail."""
    share = figures.percent(sparse['zeros'])
    if not sparse['failed']:
        return f'sparse inference: {share} zeros in the 1x1 convolutions; all rules of XNNPACK hold; {SPARSE_MACHINES}'
    return (
        f'sparse inference: {share} zeros in the 1x1 convolutions, but XNNPACK computes them densely: '
        f'{"; ".join(sparse["failed"])}'
    )


def enforce_delegation(name: str, record: Record, required: str | None) -> None:
    """Raises a `PocketFlowError` unless the required delegate runs every operation of a file.

    Args:
      name: of the file.
      record: its lint.
      required: name of the delegate; None requires nothing.
    """
    if required is None:
        return
    delegate = next(each for each in record['delegates'] if each['name'] == required)
    missing = record['operations'] - delegate['operations']
    if missing:
        first = delegate['falls_off'][0]
        raise PocketFlowError(
            f'--require_full_delegation={required}: {name}: {missing} of {record["operations"]} operations fall off '
            f'{delegate["title"]}, such as {first["count"]} {first["operator"]} ({first["reason"]})'
        )
    if delegate['note']:
        raise PocketFlowError(f'--require_full_delegation={required}: {name}: {delegate["note"]}')


def enforce_full_delegation(exports: Sequence[Record], required: str | None) -> None:
    """As `enforce_delegation`, for the first file of a report that LiteRT runs.

    Raises:
      PocketFlowError: operations fall off, or there is no such file.
    """
    if required is None:
        return
    files = linted(exports)
    if not files:
        raise PocketFlowError(f'--require_full_delegation={required}: no exported file can be run by LiteRT')
    enforce_delegation(files[0]['path'], files[0]['lint'], required)


def linted(exports: Sequence[Record]) -> list[Record]:
    """The exported files that were linted; containers and files of former reports were not."""
    return [item for item in exports if item.get('lint')]


def delegation_table(exports: Sequence[Record]) -> list[tuple[str, ...]]:
    """For each file the operations and the share of the MACs on each delegate; empty if none was linted."""
    files = linted(exports)
    if not files:
        return []
    titles = [each['title'] for each in files[0]['lint']['delegates']]
    rows: list[tuple[str, ...]] = [('file', *(f'{title} ops' for title in titles), *(f'{t} MACs' for t in titles))]
    for item in files:
        delegates, total = item['lint']['delegates'], item['lint']['operations']
        counts = [f'{each["operations"]} of {total}{_parts(each)}' for each in delegates]
        rows.append((item['path'], *counts, *(figures.percent(each['macs_share']) for each in delegates)))
    return rows


def _parts(delegate: Record) -> str:
    return f' in {delegate["parts"]} parts' if (delegate['parts'] or 0) > 1 else ''


def shared_findings(exports: Sequence[Record]) -> list[dict[str, Any]]:
    """The findings of all files, each once, with the formats of the files that have it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for item in linted(exports):
        for finding in item['lint']['findings']:
            entry = found.setdefault((finding['check'], finding['text']), {**finding, 'formats': []})
            entry['formats'].append(item['format'])
    return [{**entry, 'where': places_words(entry), 'cure': remedy_words(entry)} for entry in found.values()]


def shared_reasons(exports: Sequence[Record]) -> list[dict[str, Any]]:
    """What falls off which delegate in which formats, each once."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for item in linted(exports):
        for delegate in item['lint']['delegates']:
            for entry in delegate['falls_off']:
                key = (delegate['title'], entry['operator'], entry['reason'], str(entry['count']))
                found.setdefault(key, {**entry, 'title': delegate['title'], 'formats': []})['formats'].append(
                    item['format']
                )
    return list(found.values())


def shared_lines(exports: Sequence[Record]) -> list[str]:
    """What falls off, and the findings, of all files as lines of text."""
    lines = [
        f'not on {entry["title"]} ({", ".join(entry["formats"])}): '
        f'{entry["count"]} {entry["operator"]}: {entry["reason"]}'
        for entry in shared_reasons(exports)
    ]
    for entry in shared_findings(exports):
        lines.append(f'{entry["check"]} ({entry["concerns"]}; {", ".join(entry["formats"])}): {entry["text"]}')
        lines.append(f'    {entry["where"]}; remedy: {entry["cure"]}')
    lines += [f'{name}: {words}' for name, words in sparse_lines(exports)]
    return lines


def sparse_lines(exports: Sequence[Record]) -> list[tuple[str, str]]:
    """(format, words) on sparse inference, for files with many zeros."""
    sparse = [(item['format'], item['lint']['sparse']) for item in linted(exports)]
    return [(name, sparse_words(entry)) for name, entry in sparse if entry]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
