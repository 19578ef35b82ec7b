"""`post-training`: quantization for int8 and int4 files, without training and without labels."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import AbstractLearner, Compressed, LearnerContext
from pocketflow.learners.forecast import Effort, Speed
from pocketflow.learners.int8_networks import check_network, unquantized_layers
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.post_training.options import MIXED, NEAREST, PostTrainingOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization.int8 import plain_if_quantization_aware
from pocketflow.utils.reports.layer_rows import layer_rows
from pocketflow.utils.runs.records import Record
from pocketflow.utils.system.atomic import replacing

FLOAT_BITS, INT8_BITS = 32, 8
CODES = 'codes'
"""Folder of a stage for the codes of the layers that are rounded, until all are."""
ITERATION_SECONDS = 3e-3
"""Of a step of adaround, about."""


@LEARNERS.register('post-training')
class PostTrainingLearner(AbstractLearner):
    """Rounds weights and activations of a trained network as its int8 file will, without training.

    Ranges are calibrated, weights rounded to the nearest or by AdaRound (Nagel et al. 2020), and biases corrected
    (Nagel et al. 2019), on training images without labels.
    """

    options_class = PostTrainingOptions
    options: PostTrainingOptions
    timing = ('quantize', 'finetune')
    reference_format = 'float32'

    export_formats: tuple[str, ...] = ('int8',)

    def __init__(self, context: LearnerContext, options: PostTrainingOptions):
        super().__init__(context, options)
        if options.weight_bits != str(INT8_BITS):
            self.export_formats = ('mixed', *self.export_formats)

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        check_network(make_model(), self.name)
        if self.options.weight_bits != str(INT8_BITS):
            from pocketflow.learners.post_training.folding import folded
            from pocketflow.learners.post_training.quantizing import narrow_layers

            with self._naming_flags():
                narrow_layers(folded(make_model()), self.options.quantize_ends)

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        if self.options.max_bytes is not None:
            from pocketflow.learners.post_training.allocation import check_budget
            from pocketflow.learners.post_training.folding import folded
            from pocketflow.learners.post_training.quantizing import narrow_layers

            plain = folded(make_model())
            with self._naming_flags():
                check_budget(plain, narrow_layers(plain, self.options.quantize_ends), self.options.max_bytes)

    def compress(self, model: keras.Model | None, found: Mapping[str, Any] | None = None) -> Compressed:
        kept = KeptCodes(self.context.folder / CODES)
        compressed = self._quantized(model, self.options.rounding, kept.read(), kept.keep)
        kept.discard()
        return compressed

    def predict(self, model: keras.Model) -> Compressed:
        return self._quantized(model, NEAREST)

    def prediction_method(self) -> str:
        if self.options.weight_bits == MIXED:
            return 'widths by sensitivities on few images; the run measures them on more'
        return super().prediction_method()

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        return unquantized_layers(model)

    def num_images_read(self) -> int:
        return self.options.num_images

    def compress_effort(self, model: keras.Model, speed: Speed) -> Effort:
        effort = super().compress_effort(model, speed)
        rounds_up_or_down = self.options.rounding != NEAREST and self.options.weight_bits != str(INT8_BITS)
        num_layers = len(self.explain_layers(model)) if rounds_up_or_down else 0
        seconds = num_layers * self.options.num_iterations * ITERATION_SECONDS
        return Effort(effort.seconds + seconds, effort.num_bytes)

    def schedule(self) -> tuple[keras.optimizers.schedules.LearningRateSchedule, int]:
        """No training follows."""
        return self.training_helper().setup_lrn_rate(0.0)[0], 0

    def _quantized(
        self,
        model: keras.Model | None,
        rounding: str | None,
        known_codes: Mapping[str, np.ndarray] | None = None,
        keep_codes: Callable[[str, np.ndarray], None] | None = None,
    ) -> Compressed:
        from pocketflow.learners.post_training.quantizing import quantize_post_training

        options, seed = self.options, self.context.seed
        with self._naming_flags():
            result = quantize_post_training(
                model,
                self.helper.training_images(options.num_images, seed),
                MIXED if options.weight_bits == MIXED else int(options.weight_bits),
                rounding=rounding,
                equalize=options.equalize,
                bias_correction=options.bias_correction,
                calibration=options.calibration,
                num_iterations=options.num_iterations,
                max_bytes=options.max_bytes,
                quantize_ends=options.quantize_ends,
                seed=seed,
                known_codes=known_codes,
                keep_codes=keep_codes,
            )
        if options.equalize:
            logging.info('%s: %d pairs of layers were equalized', self.name, result.num_equalized)
        widths = result.plan.widths()
        rows = layer_rows(model, plain_if_quantization_aware(result.model), {}, _notes(model))
        return Compressed(result.model, result.plan, tuple(_with_bits(rows, widths)))

    def _naming_flags(self) -> _NamingFlags:
        return _NamingFlags(self.options)


class _NamingFlags:
    """Errors in the block, which speak of arguments, name the flags."""

    def __init__(self, options: PostTrainingOptions):
        self._options = options

    def __enter__(self) -> None:
        """Nothing has to be prepared."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, UsageError):
            options, message = self._options, str(error)
            if message.startswith('at most '):
                flag = f'--ptq_max_bytes={options.max_bytes}'
                raise UsageError(re.sub(r'^at most \d+ bytes', flag, message)) from None
            if 'between its first and its last' in message:
                raise UsageError(
                    f'--ptq_weight_bits={options.weight_bits}: {message.split(";")[0]}; give --ptq_enbl_ends, or '
                    '--ptq_weight_bits=8'
                ) from None


class KeptCodes:
    """The codes of the layers that are rounded, in a folder, so that an interrupted run continues after the last one.

    Args:
      folder: holds one file per layer.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def read(self) -> dict[str, np.ndarray]:
        """The codes by layer; files that cannot be read are not there."""
        found = {}
        for path in sorted(self._folder.glob('*.npy')) if self._folder.exists() else ():
            try:
                found[unquote(path.stem)] = np.load(path, allow_pickle=False)
            except (OSError, ValueError):
                logging.warning('%s cannot be read; the layer is rounded again', path)
        return found

    def keep(self, layer: str, codes: np.ndarray) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, codes.astype(np.int8))
        with replacing(self._folder / f'{quote(layer, safe="")}.npy') as temporary:
            temporary.write_bytes(buffer.getvalue())

    def discard(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _notes(model: keras.Model) -> dict[str, str]:
    return {name: reason for name, reason in unquantized_layers(model).items() if reason}


def _with_bits(rows: Sequence[Record], widths: Mapping[str, int]) -> list[Record]:
    return [{**row, 'bits': [FLOAT_BITS, widths[row['layer']]]} if row['layer'] in widths else row for row in rows]
