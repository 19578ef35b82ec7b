"""The folder that MLServer serves: settings, the `.tflite` file, labels, the runtime, and what an image needs."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import UsageError
from pocketflow.utils.runs.records import required_record
from pocketflow.utils.serving.options import InitOptions
from pocketflow.utils.serving.served_file import ServedFile
from pocketflow.utils.system import atomic

RUNTIME = 'pocketflow_runtime'
IMPLEMENTATION = f'{RUNTIME}.PocketFlowModel'
MODEL_SETTINGS, SETTINGS, LABELS = 'model-settings.json', 'settings.json', 'labels.txt'
SHAPE = {
    'name': str,
    'implementation': str,
    'inputs': [{'name': str, 'datatype': str, 'shape': [int]}],
    'outputs': [{'name': str, 'datatype': str, 'shape': [int]}],
    'parameters': {'uri': str, 'version': str, 'extra': {...: object}},
}
"""Shape of `model-settings.json` as this module writes it."""
MLSERVER = ('mlserver>=1.6,<2', 'uvloop<0.22')
"""The server; its workers (1.7) fail with later versions of uvloop."""
MADE_ANEW = 'make the folder again with pocketflow serve init'
LONGEST_NAME = 50
"""Characters of a name: Kubernetes allows 63 with what the platforms append."""

DOCKERFILE = """\
# docker build -t NAME:VERSION .
FROM python:3.11-slim
WORKDIR /home/server
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt && useradd --uid 1000 server && chown server .
COPY . /model
ENV MLSERVER_METRICS_DIR=/home/server/metrics MLSERVER_ENVIRONMENTS_DIR=/home/server/environments
USER 1000
EXPOSE 8080 8081 8082
# Seldon Core 2 sets the folder into which it loads models; otherwise the model in this image is served.
CMD exec mlserver start "${MLSERVER_MODELS_DIR:-/model}"
"""


def default_name(text: str) -> str:
    """A name that is also one for Kubernetes: lower-case letters, digits and single dashes.

    >>> default_name('lenet_at digits')
    'lenet-at-digits'
    """
    return re.sub('[^a-z0-9]+', '-', text.lower())[:LONGEST_NAME].strip('-') or 'model'


def checked_name(name: str) -> str:
    """The name of a model, if Kubernetes takes it, too.

    Raises:
      UsageError: it does not.
    """
    if not re.fullmatch(f'[a-z]([a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?', name):
        raise UsageError(
            f'--name={name}: a name has lower-case letters, digits and dashes, begins with a letter, ends with no dash '
            f'and has at most {LONGEST_NAME} characters'
        )
    return name


def model_settings(
    file_name: str, served: ServedFile, options: InitOptions, name: str, figures: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of `model-settings.json`.

    Args:
      file_name: of the `.tflite` file in the folder.
      served: what it takes and gives.
      options: batches, limits, threads.
      name: of the model.
      figures: what was measured on the file; JSON.
    """
    outputs = [tensor.metadata() for tensor in served.outputs]
    extra: dict[str, Any] = {
        'num_threads': options.num_threads,
        'max_batch_size': options.max_batch_size,
        'max_batch_time': options.max_batch_time,
        'max_request_samples': options.max_request_samples,
        'state': served.state,
        'figures': dict(figures),
    }
    if served.labels:
        extra['labels'] = LABELS
        extra['labels_output'] = 'labels' if all(tensor.name != 'labels' for tensor in served.outputs) else 'class_name'
        outputs.append({'name': extra['labels_output'], 'datatype': 'BYTES', 'shape': [-1]})
    return {
        'name': name,
        'implementation': IMPLEMENTATION,
        'platform': 'litert',
        'versions': [f'ai-edge-litert/{_version("ai-edge-litert")}'],
        'inputs': [tensor.metadata() for tensor in served.inputs],
        'outputs': outputs,
        'parameters': {'uri': f'./{file_name}', 'version': options.version, 'extra': extra},
    }


def server_settings(options: InitOptions) -> dict[str, Any]:
    """The content of `settings.json`; ports and host are left to the environment, which this file would override."""
    return {
        'debug': False,
        'parallel_workers': options.parallel_workers,
        'grpc_max_message_length': options.max_message_mb << 20,
    }


def requirements() -> str:
    """The content of `requirements.txt`: LiteRT in the version with which the file was measured."""
    return '\n'.join([*MLSERVER, f'ai-edge-litert=={_version("ai-edge-litert")}', 'numpy', ''])


def write_folder(
    folder: Path, file: Path, served: ServedFile, options: InitOptions, name: str, figures: Mapping[str, Any]
) -> None:
    """Writes the folder; one that this function made before is replaced, file by file.

    Args:
      folder: the folder to write.
      file: the `.tflite` file; it is copied.
      served, options, name, figures: as for `model_settings`.

    Raises:
      UsageError: the folder holds something else.
    """
    refuse_other_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(folder / file.name) as temporary:
        shutil.copyfile(file, temporary)
    if served.labels:
        atomic.write_text(folder / LABELS, '\n'.join(served.labels) + '\n')
    runtime = Path(__file__).with_name(f'{RUNTIME}.py').read_text(encoding='utf-8')
    atomic.write_text(folder / f'{RUNTIME}.py', runtime)
    atomic.write_text(folder / 'requirements.txt', requirements())
    atomic.write_text(folder / 'Dockerfile', DOCKERFILE)
    atomic.write_json(folder / SETTINGS, server_settings(options))
    atomic.write_json(folder / MODEL_SETTINGS, model_settings(file.name, served, options, name, figures))


def refuse_other_folder(folder: Path) -> None:
    """Raises a `UsageError` if a folder is neither empty nor one of `write_folder`."""
    if folder.is_file():
        raise UsageError(f'--output={folder}: is a file; give a folder')
    if folder.is_dir() and any(folder.iterdir()) and not is_model_folder(folder):
        raise UsageError(f'--output={folder}: holds other files, which are kept; give a new folder')


def is_model_folder(folder: Path) -> bool:
    """Whether `write_folder` made a folder."""
    try:
        content = json.loads((folder / MODEL_SETTINGS).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get('implementation') == IMPLEMENTATION


def read_folder(folder: Path) -> dict[str, Any]:
    """The model settings of a folder that `write_folder` made.

    Raises:
      UsageError: it is none.
      DamagedRecordError: the settings have lost an entry.
    """
    if not is_model_folder(folder):
        raise UsageError(f'{folder}: is no folder of pocketflow serve init ({MODEL_SETTINGS} of it is missing)')
    content: dict[str, Any] = required_record(folder / MODEL_SETTINGS, SHAPE, MADE_ANEW)
    return content


def _version(package: str) -> str:
    return importlib.metadata.version(package)
