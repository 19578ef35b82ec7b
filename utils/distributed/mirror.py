"""What the primary has written, given to workers that may not share its disk."""

from __future__ import annotations

from pathlib import Path

from pocketflow.utils.distributed.multi_gpu_wrapper import Workers
from pocketflow.utils.system import atomic

CHECKPOINTS = 'checkpoints'
"""A folder that only the primary needs."""


def mirror(workers: Workers, folder: Path) -> None:
    """Gives every worker, under the same name in its own run directory, the files of the primary's folder.

    They travel as tensors; checkpoints stay where they are.
    """
    if workers.size == 1:
        return
    files = workers.share(lambda: _contents(folder))
    for name, content in () if workers.is_primary else files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(folder / name) as temporary:
            temporary.write_bytes(content)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file() and CHECKPOINTS not in path.relative_to(folder).parts
    }
