"""Image files as samples."""

from __future__ import annotations

from pocketflow.datasets.sources.decoding import Form
from pocketflow.datasets.sources.image_files import ImageFileSource, read_index
from pocketflow.datasets.sources.image_folders import list_images
from tests.datasets.sources.conftest import colours, write_numbered, write_png


def test_a_file_that_breaks_later_is_found(tmp_path):
    write_numbered(tmp_path, {'a': 3, 'b': 2})
    write_png(tmp_path / 'b/big.png', colours(16, 16))
    refused: list[tuple[str, str]] = []
    index = read_index(list_images(str(tmp_path), ('a', 'b')), True, 2, lambda *found: refused.append(found))
    source = ImageFileSource(index, Form((4, 4)))
    assert not refused and source.first_bad(2) is None
    file = tmp_path / 'b/big.png'
    file.write_bytes(file.read_bytes()[:-40])
    assert source.first_bad(2) == f'{file}: cannot be decoded: damaged, or cut off'
    file.unlink()
    assert source.first_bad(2) == f'{file}: No such file or directory'
