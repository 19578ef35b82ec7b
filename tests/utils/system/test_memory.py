from __future__ import annotations

import os
from pathlib import Path

import pytest

from pocketflow.utils.system.memory import available_bytes, in_words, num_oom_kills, unreclaimable_bytes

GIB = 2**30


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = {'proc/meminfo': f'MemTotal:       24683652 kB\nMemFree: 1 kB\nMemAvailable:   {16 * 2**20} kB\n'}


def test_what_the_machine_has_left(tmp_path):
    assert available_bytes(machine(tmp_path, MEMINFO)) == 16 * GIB


@pytest.mark.parametrize('limited', ['job/inner', 'job', ''])
def test_limits_of_groups_and_of_those_around_them(tmp_path, limited):
    group = f'sys/fs/cgroup/{limited}'
    files = {
        'proc/self/cgroup': '0::/job/inner\n',
        f'{group}/memory.max': f'{4 * GIB}\n',
        f'{group}/memory.current': f'{3 * GIB}\n',
        f'{group}/memory.stat': f'anon 7\ninactive_file {GIB // 2}\n',
    }
    if limited != 'job/inner':
        files |= {'sys/fs/cgroup/job/inner/memory.max': 'max\n', 'sys/fs/cgroup/job/inner/memory.current': '5\n'}
    assert available_bytes(machine(tmp_path, MEMINFO | files)) == 1.5 * GIB


def test_limits_of_version_one(tmp_path):
    group = 'sys/fs/cgroup/memory/job'
    files = {
        'proc/self/cgroup': '9:pids:/\n4:cpu,memory:/job\n0::/\n',
        f'{group}/memory.limit_in_bytes': f'{2 * GIB}\n',
        f'{group}/memory.usage_in_bytes': f'{3 * GIB}\n',
        f'{group}/memory.stat': f'total_inactive_file {GIB // 2}\n',
    }
    assert available_bytes(machine(tmp_path, MEMINFO | files)) == 0
    no_limit = {f'{group}/memory.limit_in_bytes': '9223372036854771712\n'}
    assert available_bytes(machine(tmp_path, no_limit)) == 16 * GIB


def test_other_systems(tmp_path, monkeypatch):
    assert available_bytes(tmp_path) == os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    monkeypatch.delattr(os, 'sysconf')
    assert available_bytes(tmp_path) is None


def test_this_machine():
    assert available_bytes() > 0


@pytest.mark.parametrize(
    ('num_bytes', 'words'),
    [(0, '0 bytes'), (999, '999 bytes'), (1500, '1.5 kB'), (128e6, '128 MB'), (69.7e9, '70 GB'), (2e15, '2000 TB')],
)
def test_in_words(num_bytes, words):
    assert in_words(num_bytes) == words


def test_memory_of_a_process_without_mapped_files(tmp_path):
    status = 'Name:\tpython\nVmRSS:\t 900 kB\nRssAnon:\t  500 kB\nRssFile:\t 300 kB\nRssShmem:\t 100 kB\n'
    assert unreclaimable_bytes(7, machine(tmp_path, {'proc/7/status': status})) == 600 * 1024
    assert unreclaimable_bytes(8, tmp_path) is None
    assert unreclaimable_bytes(os.getpid()) > 10**6


def test_kills_by_the_kernel(tmp_path):
    assert num_oom_kills(tmp_path) == 0
    files = {
        'proc/vmstat': 'nr_free_pages 5\noom_kill 2\n',
        'proc/self/cgroup': '4:memory:/job\n0::/job\n',
        'sys/fs/cgroup/memory/job/memory.oom_control': 'under_oom 0\noom_kill 3\n',
        'sys/fs/cgroup/job/memory.events': 'oom 9\noom_kill 4\n',
    }
    assert num_oom_kills(machine(tmp_path, files)) == 9
