"""What is read of an image file before it is decoded."""

from __future__ import annotations

import pytest
from PIL import Image

from pocketflow.datasets.sources import image_headers
from pocketflow.datasets.sources.image_headers import JPEG, OTHER, PNG, PNG_WITH_ALPHA, BadImageError, read_header
from tests.datasets.sources.conftest import colours, encoded

PIXELS = colours()
IMAGE = Image.fromarray(PIXELS)


@pytest.mark.parametrize(
    ('file_format', 'mode', 'kind'),
    [('JPEG', 'RGB', JPEG), ('PNG', 'RGB', PNG), ('PNG', 'RGBA', PNG_WITH_ALPHA), ('BMP', 'RGB', OTHER)],
)
def test_kinds(tmp_path, file_format, mode, kind):
    path = tmp_path / 'image'
    path.write_bytes(encoded(IMAGE.convert(mode), file_format))
    header = read_header(str(path))
    assert (header.kind, header.orientation) == (kind, 1)


@pytest.mark.parametrize(('written', 'read'), [(1, 1), (6, 6), (9, 1)])
def test_orientations(tmp_path, written, read):
    exif = Image.Exif()
    exif[image_headers.ORIENTATION] = written
    path = tmp_path / 'image.jpg'
    path.write_bytes(encoded(IMAGE, 'JPEG', exif=exif))
    assert read_header(str(path)).orientation == read


def test_too_many_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(image_headers, 'MAX_PIXELS', 95)
    path = tmp_path / 'image.png'
    path.write_bytes(encoded(IMAGE, 'PNG'))
    with pytest.raises(BadImageError, match='12 x 8 pixels; at most 95 are accepted'):
        read_header(str(path))


def test_files_are_told_apart(tmp_path):
    path = tmp_path / 'image.png'
    path.write_bytes(encoded(IMAGE, 'PNG'))
    digest = read_header(str(path)).digest
    (tmp_path / 'copy.png').write_bytes(path.read_bytes())
    assert read_header(str(tmp_path / 'copy.png')).digest == digest
    path.write_bytes(encoded(Image.fromarray(PIXELS ^ 1), 'PNG'))
    assert read_header(str(path)).digest != digest
