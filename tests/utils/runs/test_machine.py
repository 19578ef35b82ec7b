"""What a figure was measured with."""

from __future__ import annotations

import os
import platform
import re
import shutil

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


def test_instruction_sets_of_x86_and_arm(tmp_path):
    (tmp_path / 'cpuinfo').write_text('flags\t\t: fpu avx512f avx2 other\n\nflags\t\t: fpu sse4_2\n')
    assert machine.instruction_sets(str(tmp_path / 'cpuinfo')) == ['avx2', 'avx512f']
    (tmp_path / 'cpuinfo').write_text('Features\t: fp asimd i8mm\n')
    assert machine.instruction_sets(str(tmp_path / 'cpuinfo')) == ['asimd', 'i8mm']
    assert machine.instruction_sets(str(tmp_path / 'none')) == []


def test_free_disk_space_of_a_folder_to_be(tmp_path):
    free = machine.free_disk_bytes(tmp_path / 'a' / 'b')
    assert 0 < free <= shutil.disk_usage(tmp_path).total
    assert abs(free - shutil.disk_usage(tmp_path).free) < 1 << 30


def test_details(tmp_path):
    found = machine.machine_details(tmp_path)
    assert 1 <= found['usable_cores'] <= found['cores']
    assert isinstance(found['gpus'], list) and isinstance(found['instruction_sets'], list)
    assert found['free_memory_bytes'] is None or found['free_memory_bytes'] > 0


def test_speed_of_products_is_plausible():
    assert 1e7 < machine.float64_flops_per_second() < 1e14
