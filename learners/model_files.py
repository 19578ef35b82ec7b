"""The files of a run's models: the networks are saved with the heads that were taken off for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import tf_keras as keras

from pocketflow.utils.container import load_container, save_container
from pocketflow.utils.graph import Head, put_head_on
from pocketflow.utils.models.files import load_model, save_model
from pocketflow.utils.quantization.encoding import Encoding
from pocketflow.utils.runs.given_files import MODEL_NAME
from pocketflow.utils.runs.model_files import refuse_damaged

CONTAINER_SUFFIX = '.pfz'
CONTAINER_NAME = f'model{CONTAINER_SUFFIX}'
"""File of a stage's model with the integer codes of its kernels."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """A trained model for the next stage and the export.

    Attributes:
      model: a functional model, for most learners of standard layers; a classifier gives logits.
      encodings: integer codes by layer name; decoded, they equal the kernels of these layers in `model`.
      head: the head that was taken off the network, or None.
    """

    model: keras.Model
    encodings: Mapping[str, Encoding] = dataclasses.field(default_factory=dict)
    head: Head | None = None

    @property
    def whole(self) -> keras.Model:
        """The model with its head."""
        return put_head_on(self.model, self.head)

    def save(self, folder: Path) -> None:
        """Writes the whole model as a `.keras` file, and as a container if there are codes."""
        save_model(self.whole, folder / MODEL_NAME)
        if self.encodings:
            save_container(self.whole, self.encodings, folder / CONTAINER_NAME)


def load_any(path: Path | str) -> Finished:
    """Reads a saved model as it is: a `.keras` file, or a container with the integer codes of its kernels.

    Raises:
      UsageError: the file holds no model.
    """
    if Path(path).suffix == CONTAINER_SUFFIX:
        unpacked = load_container(path)
        return Finished(unpacked.model, unpacked.encodings)
    return Finished(load_model(path))


def load_own_model(path: Path, remedy: str) -> keras.Model:
    """Reads a `.keras` file of a run.

    Raises:
      DamagedRecordError: it is missing or damaged.
    """
    refuse_damaged(path, remedy)
    return load_model(path)
