"""Names of the export formats, for the command line; importing this module imports no writer of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocketflow.utils.registry import Registry

if TYPE_CHECKING:
    from pocketflow.utils.export.formats import Write

CONTAINER = 'pfz'
MIXED = 'mixed'

formats: Registry[Write, None] = Registry('file format')
"""Formats by name. An entry converts a `formats.Source` to the bytes of a file."""

for _name in ('float32', 'float16', 'dynamic', 'int8', MIXED, CONTAINER):
    formats.declare(_name, 'pocketflow.utils.export.formats')

UNCOMPRESSED = 'uncompressed'
"""Name of the uncompressed model's file in `--device_latency`."""
