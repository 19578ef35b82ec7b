"""The names of the formats, which the command line offers before anything that writes files is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketflow.utils.registry import Registry

if TYPE_CHECKING:
    from pocketflow.utils.export.formats import Write

CONTAINER = 'pfz'
MIXED = 'mixed'

formats: Registry[Write, None] = Registry('file format')
"""Formats by name. An entry turns a `formats.Source` into the bytes of a file."""

for _name in ('float32', 'float16', 'dynamic', 'int8', MIXED, CONTAINER):
    formats.declare(_name, 'pocketflow.utils.export.formats')
