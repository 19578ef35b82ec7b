"""Files of the primary on the disks of the others; real workers do it in tests/workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.utils.distributed.mirror import mirror
from pocketflow.utils.distributed.multi_gpu_wrapper import ALONE, Alone


class OneOfTwo(Alone):
    """The other worker's answer is what was said before."""

    size = 2

    def __init__(self, rank: int, said: list):
        self.rank, self._said = rank, said

    def share(self, make):
        if self.is_primary:
            self._said.append(make())
        return self._said[-1]


@pytest.mark.parametrize('exists', [True, False])
def test_files_are_copied_whole(exists: bool, tmp_path: Path):
    here, there, said = tmp_path / 'here', tmp_path / 'there', []
    for name in ('a', 'deep/er/b', 'checkpoints/c') if exists else ():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(name.encode() + b'\x00\xff')
    mirror(OneOfTwo(0, said), here)
    mirror(OneOfTwo(1, said), there)
    copied = {path.relative_to(there).as_posix(): path.read_bytes() for path in there.rglob('*') if path.is_file()}
    assert copied == ({'a': b'a\x00\xff', 'deep/er/b': b'deep/er/b\x00\xff'} if exists else {})


def test_one_worker_does_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, 'rglob', None)
    mirror(ALONE, tmp_path)
