"""Models of the zoo are found by name, and compared with their checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.models.zoo import FOLDER, LIST_NAME, zoo_file, zoo_models
from pocketflow.utils.runs.given_files import resolve_model_path

MAX_BYTES = 2_000_000


def folder_with(folder: Path, content: bytes = b'weights', digest: str | None = None) -> Path:
    """A zoo with the model `one`."""
    row = dict.fromkeys(('pair', 'command', 'metric'), '')
    row |= {'name': 'one', 'file': 'one.keras', 'sha256': digest or hashlib.sha256(content).hexdigest()}
    (folder / LIST_NAME).write_text(json.dumps([{**row, 'value': 0.5}]))
    (folder / 'one.keras').write_bytes(content)
    return folder


def test_a_name_is_a_file(tmp_path):
    assert zoo_file('zoo:one', folder_with(tmp_path)) == tmp_path / 'one.keras'


def test_unknown_names_are_answered_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r'^zoo:two: no such model in the zoo; there are: zoo:one$'):
        zoo_file('zoo:two', folder_with(tmp_path))
    with pytest.raises(UsageError, match=r'^zoo:two: no such model in the zoo; there are: none, since .* is missing$'):
        zoo_file('zoo:two', tmp_path / 'nowhere')


def test_another_file_under_the_name_is_rejected(tmp_path):
    with pytest.raises(PocketFlowError, match=r'^zoo:one: .*one.keras is not the file of the zoo: its SHA-256 differs'):
        zoo_file('zoo:one', folder_with(tmp_path, digest='0' * 64))


def test_a_lost_file_is_named(tmp_path):
    (folder_with(tmp_path) / 'one.keras').unlink()
    with pytest.raises(PocketFlowError, match=r'^zoo:one: .*one.keras is missing; restore it from the repository'):
        zoo_file('zoo:one', tmp_path)


def test_every_listed_model_is_there_and_small_and_every_file_is_listed():
    models = zoo_models().values()
    for model in models:
        assert zoo_file(f'zoo:{model.name}').stat().st_size <= MAX_BYTES
        assert 0 < model.value <= 1 and '--model=' in model.pair and 'run_local.sh' in model.command
    assert {file.name for file in FOLDER.glob('*.keras')} == {model.file for model in models}


def test_flags_name_models_of_the_zoo():
    assert resolve_model_path('zoo:resnet20_cifar10', '--save_path_dst') == FOLDER / 'resnet20_cifar10.keras'
    with pytest.raises(UsageError, match=r'^--save_path_dst=zoo:two: no such model in the zoo; there are: zoo:'):
        resolve_model_path('zoo:two', '--save_path_dst')
