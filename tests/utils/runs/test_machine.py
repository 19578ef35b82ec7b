"""What a figure was measured with."""

from __future__ import annotations

import os
import platform
import re

from pocketflow.utils.runs import machine


def test_processor_and_cores(tmp_path):
    (tmp_path / 'cpuinfo').write_text('processor\t: 0\nmodel name\t: Some CPU @ 2.0 GHz: 8\n\nmodel name\t: Other\n')
    assert machine.machine(str(tmp_path / 'cpuinfo')) == {'processor': 'Some CPU @ 2.0 GHz: 8', 'cores': os.cpu_count()}


def test_machines_without_that_file(tmp_path):
    assert machine.machine(str(tmp_path / 'none'))['processor'] == (platform.processor() or platform.machine())
    (tmp_path / 'cpuinfo').write_text('CPU part\t: 0xd0c\n')  # as on ARM
    assert machine.machine(str(tmp_path / 'cpuinfo'))['processor']


def test_versions(monkeypatch):
    monkeypatch.setattr(machine, 'PACKAGES', ('numpy', 'no-such-package'))
    found = machine.versions()
    assert found.keys() == {'python', 'numpy'}
    assert found['python'] == platform.python_version() and re.match(r'\d+\.\d+', found['numpy'])
