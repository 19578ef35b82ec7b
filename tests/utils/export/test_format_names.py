from __future__ import annotations

from pocketflow.utils.export.convert import file_formats
from pocketflow.utils.export.format_names import CONTAINER, MIXED, formats


def test_every_declared_format_can_be_written_and_every_other_one_is_declared():
    assert all(callable(formats.get(name)) for name in formats)
    assert set(formats) == {CONTAINER, MIXED, *file_formats}
