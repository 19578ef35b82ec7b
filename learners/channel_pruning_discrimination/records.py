"""Records of the blocks that were pruned, so that an interrupted run continues after the last of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import tf_keras as keras

from pocketflow.learners.model_files import load_own_model
from pocketflow.utils.channels import ReaderChannels
from pocketflow.utils.graph import copied
from pocketflow.utils.models.files import save_model
from pocketflow.utils.runs.records import DamagedRecordError, required_record
from pocketflow.utils.system import atomic

KEPT_SHAPE = {'kept': {...: [int]}}


@dataclasses.dataclass(frozen=True)
class PrunedBlocks:
    """The state after a number of blocks.

    Attributes:
      number: of blocks.
      model: of full size, with zero weights for the dropped channels of the layers in `kept`.
      kept: layer -> the input channels that it keeps.
    """

    number: int
    model: keras.Model
    kept: Mapping[str, tuple[int, ...]]


class BlockRecords:
    """The state after each block in a folder; only the last one is kept.

    Args:
      folder: folder of the files; it must exist.
      model: the model that is pruned.
      readers: the layers that are pruned.
    """

    def __init__(self, folder: Path, model: keras.Model, readers: Mapping[str, ReaderChannels]):
        self._folder, self._model, self._readers = folder, model, readers

    def save(self, state: PrunedBlocks) -> None:
        """Writes the state; the record, which makes it valid, is written last."""
        model, record = self._files(state.number)
        save_model(state.model, model)
        atomic.write_json(record, {'kept': {name: list(channels) for name, channels in state.kept.items()}})
        for file in reversed(self._files(state.number - 1)):
            file.unlink(missing_ok=True)

    def last(self, num_blocks: int) -> PrunedBlocks:
        """The state after the last recorded block; before any, that of a copy of the model.

        Raises:
          DamagedRecordError: the files are damaged, or of another model.
        """
        number = next((number for number in range(num_blocks, 0, -1) if self._files(number)[1].exists()), 0)
        pruned = copied(self._model)
        if not number:
            return PrunedBlocks(0, pruned, {})
        file, record = self._files(number)
        remedy = f'delete the folder {self._folder} to choose the channels again'
        kept = required_record(record, KEPT_SHAPE, remedy)['kept']
        weights = load_own_model(file, remedy).get_weights()
        if [value.shape for value in weights] != [tuple(value.shape) for value in pruned.weights]:
            raise DamagedRecordError(f'{file}: holds the weights of another model; {remedy}')
        for name, channels in kept.items():
            if name not in self._readers or not set(channels) <= set(range(self._readers[name].num_channels)):
                raise DamagedRecordError(f'{record}: {name} has no such channels in the model; {remedy}')
        pruned.set_weights(weights)
        return PrunedBlocks(number, pruned, {name: tuple(channels) for name, channels in kept.items()})

    def _files(self, number: int) -> tuple[Path, Path]:
        """The files of the model and of the record."""
        return self._folder / f'block-{number}.keras', self._folder / f'block-{number}.json'
