"""Copies a `.keras` file with its weights as float16, for the zoo: half the size.

    python scripts/zoo/pack.py runs/.../model.keras zoo/NAME.keras

Keras converts the weights to float32 when it reads them. The metric that zoo/zoo.json states is to be measured on the
copy: `python main.py --exec_mode=eval --save_path=zoo/NAME.keras --model=... --dataset=...`.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from pocketflow.utils.errors import PocketFlowError, UsageError, first_line
from pocketflow.utils.models.archive import WEIGHTS
from pocketflow.utils.system.streams import say

LARGEST = float(np.finfo(np.float16).max)


def halved(content: bytes) -> bytes:
    """An HDF5 file of weights with all float32 arrays as float16.

    Raises:
      PocketFlowError: a value is beyond the range of float16.
    """
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content), 'r') as source, h5py.File(result, 'w') as copy:

        def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                values = item[()]
                if values.dtype == np.float32:
                    if np.abs(values).max(initial=0) > LARGEST:
                        raise PocketFlowError(f'{name} has values beyond {LARGEST:.0f}, the largest float16')
                    values = values.astype(np.float16)
                copy.create_dataset(name, data=values)
            else:
                copy.require_group(name)
            copy[name].attrs.update(item.attrs)

        source.visititems(add)
    return result.getvalue()


def pack(source: Path, target: Path) -> None:
    """Writes the copy; the target must be new."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, 'x') as copy:
        for member in archive.infolist():
            content = archive.read(member)
            copy.writestr(member, halved(content) if member.filename == WEIGHTS else content)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='a .keras file of this program or of tf_keras')
    parser.add_argument('target', type=Path, help='the file to write; it must not exist')
    given = parser.parse_args(argv)
    try:
        if not given.source.is_file() or given.target.exists():
            raise UsageError(f'{given.source} must be a file, and {given.target} must not exist yet')
        pack(given.source, given.target)
    except (PocketFlowError, OSError, zipfile.BadZipFile) as error:
        say(f'error: {first_line(error)}', sys.stderr)
        return error.exit_code if isinstance(error, PocketFlowError) else PocketFlowError.exit_code
    say(f'{given.target}: {given.target.stat().st_size} bytes, {given.source}: {given.source.stat().st_size}')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
