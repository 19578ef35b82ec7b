"""Reads YAML files of plain values: no tags that build objects, no aliases, bounded in size and depth."""

from __future__ import annotations

import os
from typing import Any

import yaml

MAX_BYTES, MAX_DEPTH = 2**16, 20
"""Largest accepted size of a file in bytes, and nesting."""
_SHOWN_LENGTH = 300


class _Loader(yaml.SafeLoader):
    """Plain values only: rejects aliases, which can expand to a document of any size, and deep nesting."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f'it uses the alias *{self.peek_event().anchor[:40]}; write the values out')
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError(f'it is nested more than {MAX_DEPTH} deep')
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Rejects a key that is given twice, of which YAML would silently take the last."""
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next((key for key in keys if keys.count(key) > 1), keys[0])
            raise yaml.YAMLError(f'it has the key {str(twice)[:40]!r} twice, from line {node.start_mark.line + 1} on')
        return mapping


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Decodes a document.

    Args:
      path: the file.

    Raises:
      OSError, UnicodeDecodeError: the file cannot be read, or holds no text.
      yaml.YAMLError: it is not YAML, or more than the bounds allow.
    """
    with open(path, 'rb') as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise yaml.YAMLError(f'it has more than {MAX_BYTES} bytes')
    try:
        return yaml.load(content.decode('utf-8'), _Loader)
    except (ValueError, RecursionError) as error:  # invalid dates, integers of many thousand digits
        if isinstance(error, UnicodeDecodeError):
            raise
        raise yaml.YAMLError(str(error)) from error


def in_one_line(error: yaml.YAMLError) -> str:
    """The message of an error, in one line of limited length."""
    return ' '.join(str(error).split())[:_SHOWN_LENGTH]
