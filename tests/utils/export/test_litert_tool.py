"""LiteRT's own benchmark, run for real on a tiny file, and its failures."""

from __future__ import annotations

import pytest

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export import litert_tool
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.litert_tool import is_there, median_ms


@pytest.mark.skipif(not is_there(), reason='this ai-edge-litert has no benchmark')
def test_a_real_file_and_one_that_is_none(net, tmp_path):
    file = tmp_path / 'net.tflite'
    file.write_bytes(convert(net, 'float32'))
    assert 0 <= median_ms(file, 5, 1) < 1000
    (tmp_path / 'bad.tflite').write_bytes(b'nonsense')
    with pytest.raises(PocketFlowError, match=r'bad.tflite: ai_edge_litert.*failed \(exit code 1: '):
        median_ms(tmp_path / 'bad.tflite', 5, 1)


def test_packages_without_the_tool(monkeypatch):
    monkeypatch.setattr(litert_tool, 'MODULE', 'ai_edge_litert.no_tools.benchmark')
    assert not is_there()
