"""The notebooks run as they stand, and print what they show.

`python -m tests.examples.test_notebooks` runs them and stores their outputs anew.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import without_numbers

NOTEBOOKS = sorted((Path(__file__).parents[2] / 'examples').glob('*.ipynb'))
_PATHS = re.compile(r'/[\w.+/-]+/runs/')
_HEADINGS = re.compile(r'<th[^>]*>(.*?)</th>')


def outputs(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Runs the cells in order, in the current folder, and returns the outputs of each as they are stored."""
    names: dict[str, Any] = {'__name__': 'notebook'}
    return [_outputs(''.join(cell['source']), names) for cell in notebook['cells'] if cell['cell_type'] == 'code']


def _outputs(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    tree, printed, value = ast.parse(source), io.StringIO(), None
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, 'notebook', 'exec'), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), 'notebook', 'eval'), names)
    found: list[dict[str, Any]] = []
    if printed.getvalue():
        found.append({'name': 'stdout', 'output_type': 'stream', 'text': printed.getvalue().splitlines(True)})
    if value is not None:
        data = {'text/plain': repr(value).splitlines(True), 'text/html': value._repr_html_().splitlines(True)}
        data = {kind: [_PATHS.sub('runs/', line) for line in lines] for kind, lines in data.items()}
        found.append({'data': data, 'execution_count': None, 'metadata': {}, 'output_type': 'execute_result'})
    return found


def words(found: list[list[dict[str, Any]]]) -> list[str]:
    """What is printed, without numbers, and the headings of tables: what is the same on all machines."""
    texts = []
    for part in (part for cell in found for part in cell):
        html = ''.join(part.get('data', {}).get('text/html', ()))
        texts += _HEADINGS.findall(html) if html else [without_numbers(''.join(part['text']))]
    return texts


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_it_shows(path: Path, own_folder: None):
    notebook = json.loads(path.read_text(encoding='utf-8'))
    stored = [cell['outputs'] for cell in notebook['cells'] if cell['cell_type'] == 'code']
    assert sum(map(len, stored)) >= 3
    assert words(outputs(notebook)) == words(stored)


def main() -> None:
    for path in NOTEBOOKS:
        notebook = json.loads(path.read_text(encoding='utf-8'))
        cells = [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            for number, (cell, found) in enumerate(zip(cells, outputs(notebook), strict=True), 1):
                cell['execution_count'] = number
                cell['outputs'] = [
                    {**part, **({'execution_count': number} if 'execution_count' in part else {})} for part in found
                ]
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
