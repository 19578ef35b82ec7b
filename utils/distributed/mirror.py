"""Copies files of the primary to workers that may not share its file system."""

from __future__ import annotations

from pathlib import Path

from pocketflow.utils.distributed.multi_gpu_wrapper import Workers
from pocketflow.utils.system import atomic

CHECKPOINTS = 'checkpoints'
"""Folder that is not copied."""


def mirror(workers: Workers, folder: Path) -> None:
    """Copies the files of the primary's folder to the folder of the same name in each worker's run directory.

    They are sent as tensors; checkpoints are not copied.
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
