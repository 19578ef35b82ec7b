"""Memory that is available to this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

UNITS = ('bytes', 'kB', 'MB', 'GB', 'TB')


def available_bytes(root: Path = Path('/')) -> int | None:
    """Memory available without swapping: the minimum of the machine's and the control groups' available memory.

    Args:
      root: folder that contains `proc` and `sys`.

    Returns:
      Bytes, or None if unknown.
    """
    found = [*_of_machine(root), *_of_groups(root)]
    return max(0, min(found)) if found else None


def unreclaimable_bytes(pid: int, root: Path = Path('/')) -> int | None:
    """Resident memory of a process without the pages of mapped files, which the kernel can drop; None if unknown."""
    found = {}
    for line in _lines(root / f'proc/{pid}/status'):
        name, _, value = line.partition(':')
        if name in ('RssAnon', 'RssShmem'):
            found[name] = int(value.split()[0]) * 1024
    return sum(found.values()) if found else None


def num_oom_kills(root: Path = Path('/')) -> int:
    """How often the kernel has killed a process because memory ran out, as far as this process can see it.

    Counted are the machine (`/proc/vmstat`) and this process's control groups; only differences are of interest.
    """
    count = 0
    for path in (root / 'proc/vmstat', *_oom_files(root)):
        for line in _lines(path):
            name, _, value = line.partition(' ')
            if name == 'oom_kill' and value.isdigit():
                count += int(value)
    return count


def in_words(num_bytes: float) -> str:
    """Formats a number of bytes with a unit.

    >>> in_words(5.03e9), in_words(999)
    ('5 GB', '999 bytes')
    """
    power = 0
    while power + 1 < len(UNITS) and abs(num_bytes) >= 1000:
        num_bytes, power = num_bytes / 1000, power + 1
    return f'{num_bytes:.2g} {UNITS[power]}' if num_bytes < 100 else f'{num_bytes:.0f} {UNITS[power]}'


def _of_machine(root: Path) -> Iterator[int]:
    lines = _lines(root / 'proc/meminfo')
    values = [int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable:')]
    if values:
        yield values[0]
        return
    try:
        yield os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    except (AttributeError, OSError, ValueError):  # a system without sysconf or without these names
        return


def _of_groups(root: Path) -> Iterator[int]:
    """Available bytes of this process's control group and of its parent groups, as far as they have limits."""
    for folder, is_first_version in _groups(root):
        names = (
            ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')
            if is_first_version
            else ('memory.max', 'memory.current', 'inactive_file')
        )
        yield from _of_group(folder, *names)


def _groups(root: Path) -> Iterator[tuple[Path, bool]]:
    """Folders of this process's control group and of its parents, and whether they are of version 1."""
    for line in _lines(root / 'proc/self/cgroup'):
        _, controllers, path = line.split(':', 2)
        is_first_version = 'memory' in controllers.split(',')
        if controllers and not is_first_version:
            continue
        base, inner = root / 'sys/fs/cgroup', PurePosixPath(path.lstrip('/'))
        for group in (inner, *inner.parents):
            yield (base / 'memory' if is_first_version else base) / group, is_first_version


def _oom_files(root: Path) -> Iterator[Path]:
    for folder, is_first_version in _groups(root):
        yield folder / ('memory.oom_control' if is_first_version else 'memory.events')


def _of_group(folder: Path, limit: str, usage: str, reclaimable: str) -> Iterator[int]:
    limits, usages = _lines(folder / limit), _lines(folder / usage)
    if limits and usages and limits[0].isdigit():  # "max" is no limit
        stat = dict(line.split()[:2] for line in _lines(folder / 'memory.stat') if len(line.split()) > 1)
        yield int(limits[0]) - int(usages[0]) + int(stat.get(reclaimable, 0))


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding='utf-8').split('\n') if line]
    except OSError:
        return []
