"""Writes docs/config.schema.json, the JSON Schema of `--config` files, from the options classes.

Run it after each change of flags; a test compares the file with this program's output:

    .venv/bin/python scripts/generate_config_schema.py

It takes no arguments.
"""

from __future__ import annotations

import json
from pathlib import Path

from pocketflow.learners.program.config_schema import schema
from pocketflow.utils.system import atomic

FILE = Path(__file__).resolve().parents[1] / 'docs' / 'config.schema.json'


def text() -> str:
    """The content of the file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + '\n'


if __name__ == '__main__':
    atomic.write_text(FILE, text())
    print(f'wrote {FILE}')
