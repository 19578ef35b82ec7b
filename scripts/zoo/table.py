"""Writes the table of models into zoo/README.md, from zoo/zoo.json.

    python scripts/zoo/table.py

A new model: put its file into zoo/ (with `scripts/zoo/pack.py`, which halves its size), add a row to zoo/zoo.json,
and run this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from pocketflow.utils.models.zoo import FOLDER, ZooModel, zoo_models
from pocketflow.utils.system import atomic
from pocketflow.utils.system.streams import say

PAGE = FOLDER / 'README.md'
BEGIN, END = '<!-- table: scripts/zoo/table.py -->', '<!-- end of the table -->'


def table(models: Iterable[ZooModel]) -> str:
    """The models as a table in Markdown."""
    head = ['| name | pair | trained by | test metric | SHA-256 of the file |', '|---|---|---|--:|---|']
    return '\n'.join([*head, *map(_row, models)])


def _row(model: ZooModel) -> str:
    trained = f'`{model.command}`' + (f' ({model.note})' if model.note else '')
    metric = f'{model.metric} {model.value:.4f}'
    return f'| `zoo:{model.name}` | `{model.pair}` | {trained} | {metric} | `{model.sha256[:16]}...` |'


def with_table(page: str, models: Iterable[ZooModel]) -> str:
    """A page with the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f'{before}{BEGIN}\n\n{table(models)}\n\n{END}{after}'


def main() -> int:
    atomic.write_text(PAGE, with_table(PAGE.read_text(encoding='utf-8'), zoo_models().values()))
    say(f'{PAGE}: {len(zoo_models())} models')
    return 0


if __name__ == '__main__':
    sys.exit(main())
