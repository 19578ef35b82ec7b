"""Trained models that come with the program, by name: `zoo:resnet20_cifar10`.

`zoo/zoo.json` lists them. It is the source of the table in `zoo/README.md`, which `scripts/zoo/table.py` writes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path

from pocketflow.utils.errors import PocketFlowError, UsageError

PREFIX = 'zoo:'
FOLDER = Path(__file__).resolve().parents[2] / 'zoo'
LIST_NAME = 'zoo.json'


@dataclasses.dataclass(frozen=True)
class ZooModel:
    """A row of the list.

    Attributes:
      name: after `zoo:`.
      file: its name in the folder of the list.
      pair: flags of its model/dataset pair.
      command: trains it; FOLDER stands for that of the data.
      metric, value: the primary metric of the file on the evaluation set, and its value there.
      sha256: of the file.
      note: what else one has to know, or ''.
    """

    name: str
    file: str
    pair: str
    command: str
    metric: str
    value: float
    sha256: str
    note: str = ''


def is_zoo_name(path: str) -> bool:
    return path.startswith(PREFIX)


@functools.cache
def zoo_models(folder: Path = FOLDER) -> dict[str, ZooModel]:
    """The models in a folder's list, by name, in its order; empty if there is no list."""
    path = folder / LIST_NAME
    if not path.is_file():
        return {}
    rows = [ZooModel(**row) for row in json.loads(path.read_text(encoding='utf-8'))]
    return {row.name: row for row in rows}


def zoo_file(path: str, folder: Path = FOLDER) -> Path:
    """The file of a model that is given as `zoo:NAME`.

    Raises:
      UsageError: there is no model of this name.
      PocketFlowError: its file is missing, or is not the one in the list.
    """
    models, name = zoo_models(folder), path.removeprefix(PREFIX)
    if name not in models:
        known = ', '.join(f'{PREFIX}{each}' for each in models) or f'none, since {folder / LIST_NAME} is missing'
        raise UsageError(f'{path}: no such model in the zoo; there are: {known}')
    file = folder / models[name].file
    if not file.is_file():
        raise PocketFlowError(
            f'{path}: {file} is missing; restore it from the repository, or install the package again'
        )
    if hashlib.sha256(file.read_bytes()).hexdigest() != models[name].sha256:
        raise PocketFlowError(
            f'{path}: {file} is not the file of the zoo: its SHA-256 differs from that in {LIST_NAME}; restore it from '
            'the repository, or give the path of your own file'
        )
    return file
