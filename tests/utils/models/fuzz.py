"""Random changes of saved models: of bytes, and of what the architecture says, in a container that stays sound.

    python -m tests.utils.models.fuzz FOLDER --format=keras3 --first=0 --number=5000

reads that many changed copies of FOLDER's files, which are made if they are not there, and prints what became of them;
the test calls the same functions. A copy that takes more than a minute ends the process with a traceback; its number is
in the file `last`.
"""

from __future__ import annotations

import argparse
import collections
import copy
import faulthandler
import io
import json
import random
import re
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import tf_keras as keras
from tf_keras.protobuf import saved_metadata_pb2

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_model

MAX_SECONDS = 60
"""After this time a copy counts as one that hangs."""
WRITER = Path(__file__).parent / 'keras3' / 'write_networks.py'
"""Writes files of Keras 3, in a process of its own."""
VALUES = (
    None, True, False, 0, 1, -1, 2, 3, 255, 2**20, 2**31, 2**40, 10**30, -(2**63), 0.5, -1e308, float('inf'),
    float('nan'), '', 'x', 'relu', '/etc/passwd', 'os.system', '__import__', 'Lambda', 'Dense', 'GetItem', '\0', 'é',
    [], {}, [[]], [None], [0, 0], ['in', 0, 0], ['in', 1, 0], ['in', 0, 9], {'class_name': 'Lambda'}, [1] * 50,
    {'class_name': '__lambda__'}, {'class_name': 'function', 'config': 'system', 'module': 'os'}, {'a': {'b': [1, 2]}},
)  # fmt: skip
"""What is put in place of values."""


def changed_json(config: Any, rng: random.Random) -> Any:
    """A copy of a configuration with one to three values replaced, removed, repeated or exchanged."""
    config = copy.deepcopy(config)
    for _ in range(rng.randint(1, 3)):
        places: list[tuple[Any, Any]] = []
        waiting = [config]
        while waiting:
            value = waiting.pop()
            keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
            places += [(value, key) for key in keys]
            waiting += [value[key] for key in keys]
        if not places:
            return config
        (one, key), (two, other) = rng.choice(places), rng.choice(places)
        way = rng.randrange(5)
        if way == 0:
            one[key] = copy.deepcopy(rng.choice(VALUES))
        elif way == 1:
            del one[key]
        elif way == 2:
            one[key] = copy.deepcopy(two[other])
        elif way == 3 and isinstance(one, list):
            one.insert(rng.randint(0, len(one)), copy.deepcopy(one[key]))
        elif isinstance(one[key], int) and not isinstance(one[key], bool):
            one[key] = rng.choice((one[key] + 1, one[key] * 2, -one[key], one[key] * 10**6))
        elif isinstance(one[key], str):
            one[key] = rng.choice((one[key] + 'x', one[key][:-1], one[key].upper(), rng.choice('abc')))
    return config


def changed_bytes(content: bytes, rng: random.Random) -> bytes:
    """A copy with some bytes replaced, inserted or removed, or cut short."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        place, way = rng.randrange(max(len(content), 1)), rng.randrange(6)
        if way < 3 and content:
            content[place] = rng.randrange(256)
        elif way == 3:
            content[place:place] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 4, 16))))
        elif way == 4:
            del content[place : place + rng.choice((1, 4, 64))]
        elif rng.randrange(8) == 0:
            del content[place:]
    return bytes(content)


def change_archive(source: Path, target: Path, rng: random.Random) -> None:
    """A `.keras` file: its bytes, those of one part, or its architecture."""
    way = rng.randrange(10)
    if way == 0:
        target.write_bytes(changed_bytes(source.read_bytes(), rng))
        return
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if way == 1:
        name = rng.choice(list(parts))
        parts[name] = changed_bytes(parts[name], rng)
    elif way == 2:
        content = io.BytesIO(parts['model.weights.h5'])
        with h5py.File(content, 'r+') as file:
            change_arrays(file, rng)
        parts['model.weights.h5'] = content.getvalue()
    else:
        parts['config.json'] = json.dumps(changed_json(json.loads(parts['config.json']), rng)).encode()
    with zipfile.ZipFile(target, 'w') as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def change_arrays(file: h5py.File, rng: random.Random) -> None:
    """Removes, moves or replaces one thing in an HDF5 file."""
    names: list[str] = []
    file.visit(names.append)
    name, way = rng.choice(names), rng.randrange(5)
    if way == 0:
        del file[name]
    elif way == 1:
        file.move(name, f'{name}_moved')
    elif way == 2:
        del file[name]
        file[name] = rng.choice((0.5, [1.0, 2.0], [[1]], 'text', [b'a'], float('nan')))
    elif way == 3:
        attributes = file[name].attrs
        attributes[rng.choice([*attributes, 'name', 'weight_names'])] = rng.choice(('x', 5, [b'x'], [1.5], ['x', 'y']))
    else:
        file[f'{name}_link'] = rng.choice((h5py.SoftLink('/layers'), h5py.ExternalLink('/etc/passwd', '/')))


def change_hdf5(source: Path, target: Path, rng: random.Random) -> None:
    """An `.h5` file: its bytes, its arrays, or its architecture."""
    way = rng.randrange(10)
    if way < 2:
        target.write_bytes(changed_bytes(source.read_bytes(), rng))
        return
    shutil.copy(source, target)
    with h5py.File(target, 'r+') as file:
        if way < 4:
            change_arrays(file, rng)
        else:
            file.attrs['model_config'] = json.dumps(changed_json(json.loads(file.attrs['model_config']), rng))


def change_saved_model(source: Path, target: Path, rng: random.Random) -> None:
    """A SavedModel: the record of its architecture, or the bytes of any of its files."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    record = target / 'keras_metadata.pb'
    if rng.randrange(10) < 3:
        part = rng.choice((record, target / 'variables' / 'variables.index'))
        part.write_bytes(changed_bytes(part.read_bytes(), rng))
        return
    parsed = saved_metadata_pb2.SavedMetadata.FromString(record.read_bytes())
    root = parsed.nodes[0]
    root.metadata = json.dumps(changed_json(json.loads(root.metadata), rng))
    record.write_bytes(parsed.SerializeToString())


FORMATS: dict[str, tuple[str, Callable[[Path, Path, random.Random], None]]] = {
    'keras3': ('small.keras', change_archive),
    'keras3-h5': ('small.h5', change_hdf5),
    'keras2': ('old.keras', change_archive),
    'keras2-h5': ('old.h5', change_hdf5),
    'saved-model': ('old', change_saved_model),
}
"""What is changed, and how."""


def write_keras2(folder: Path) -> None:
    """The sound files of Keras 2: a small model in each format."""
    layers, inputs = keras.layers, keras.Input((4,), name='images')
    x = layers.BatchNormalization(name='norm')(layers.Dense(4, activation='relu', name='one')(inputs) * 2.0)
    model = keras.Model(inputs, layers.Dense(2, name='two')(layers.Add(name='add')([x, inputs])))
    model.save(folder / 'old.keras')
    model.save(folder / 'old.h5', save_format='h5')
    model.save(folder / 'old', save_format='tf')


def write_sound(folder: Path, kind: str) -> None:
    """Makes the sound file of a format if it is not there."""
    if (folder / FORMATS[kind][0]).exists():
        return
    folder.mkdir(exist_ok=True, parents=True)
    if kind.startswith('keras3'):
        subprocess.run([sys.executable, str(WRITER), str(folder)], check=True)
    else:
        write_keras2(folder)


def outcome(folder: Path, kind: str, number: int, target: Path) -> str:
    """Reads one changed copy, the number says which: '' if it is a model, else the one line that says why not."""
    name, change = FORMATS[kind]
    path = target / name
    change(folder / name, path, random.Random(f'{kind}/{number}'))
    try:
        load_model(path)
    except UsageError as error:
        line = str(error)
        assert line.startswith(f'{path}: cannot be read as a Keras model') and '\n' not in line, (number, line)
        assert len(line) < len(str(path)) + 700, (number, line)
        return line.removeprefix(str(path))
    return ''


def run_command(
    formats: Iterable[str],
    outcome_of: Callable[[Path, str, int, Path], str],
    prepare: Callable[[Path, str], None] = lambda folder, kind: None,
) -> None:
    """Runs the command line of a fuzzer.

    Args:
      formats: the choices of `--format`.
      outcome_of: `outcome_of(folder, format, number, folder for changed files)` reads one changed file; '' if it is
        used, else the line that refuses it.
      prepare: called first, with the folder and the format.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument('folder', type=Path)
    parser.add_argument('--format', choices=tuple(formats), required=True)
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--number', type=int, default=200)
    given = parser.parse_args()
    prepare(given.folder, given.format)
    target = given.folder / f'fuzz-{given.format}-{given.first}'
    target.mkdir(exist_ok=True, parents=True)
    before, counts, longest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, collections.Counter(), (0.0, 0)
    for number in range(given.first, given.first + given.number):
        (target / 'last').write_text(str(number))
        faulthandler.dump_traceback_later(MAX_SECONDS, exit=True)
        start = time.process_time()
        line = outcome_of(given.folder, given.format, number, target)
        faulthandler.cancel_dump_traceback_later()
        longest = max(longest, (time.process_time() - start, number))
        counts[kind_of(line)] += 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(f'{given.format}: {given.number} changed files, {counts["used"]} of them are used; the rest one line each')
    print(f'longest {longest[0]:.2f} s of processor time (number {longest[1]}); memory grew by {grown} MiB')
    for text, number in counts.most_common(12):
        print(f'{number:6d}  {text}')


def kind_of(line: str) -> str:
    """The words of a line that stand for its kind: those behind the first colon, without numbers."""
    return re.sub(r'[0-9]+', 'N', ' '.join(line.split(': ')[-1].split()[:6])) if line else 'used'


def main() -> None:
    run_command(FORMATS, outcome, write_sound)


if __name__ == '__main__':
    main()
