"""`Compressor`: a whole run of the program in two lines of Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pocketflow.learners.options import LearnerOptions
from pocketflow.learners.program.checks import checked_command
from pocketflow.learners.program.command import Command, learner_names
from pocketflow.learners.program.compressor.arguments import as_arguments, as_text, chain
from pocketflow.learners.program.compressor.given_data import GivenData
from pocketflow.learners.program.compressor.given_model import file_name, is_path, refuse_other_models, write_model
from pocketflow.learners.program.compressor.inputs import Inputs
from pocketflow.learners.program.compressor.result import CompressionResult
from pocketflow.learners.program.compressor.surroundings import random_state_kept, signals_passed_on
from pocketflow.learners.program.compressor.targets import flags_of_target
from pocketflow.learners.program.identity import run_path
from pocketflow.learners.program.preparing import prepared_command
from pocketflow.nets import PAIRS
from pocketflow.utils.errors import UsageError
from pocketflow.utils.runs import log_file
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.system.tensorflow_start import load_tensorflow

PROGRAM = str(Path(__file__).resolve().parents[3] / 'main.py')
"""The program whose command line would do the same."""


class Compressor:
    """Compresses a trained network: the same run as that of the command line, with the same options, files and report.

        from pocketflow import Compressor
        result = Compressor(model, (images, labels), learner='chn-pruned-rmt,uniform-tf', target='50% macs').run()

    Objects are written below `inputs` in the run directory, or in `runs`, in a folder named after their content; so the
    run is continued by the same call in another process, and its `config.yaml` repeats it.

    Args:
      model: a functional or sequential model of tf_keras or Keras 3, the path of a saved one, or `zoo:NAME`. With
        `dataset=NAME`, also the name of a network of this project.
      train: images with labels, in one of these forms. A tuple of arrays: images `[N, height, width, channels]` or
        `[N, height, width]`, labels `[N]`, or one-hot codes. A finite `tf.data.Dataset` of (image, label) or of batches
        of these; it is read once, block by block. The path of a folder of images, of a `.npz` file, of a folder of
        `.npy` files or of TFRecord files. Integers are pixels, 0 to 255; floating-point values are what the network
        takes. An array, or a data set of images alone, has no labels: the network learns the answers of the
        uncompressed one, as by `labels='none'`.
      evaluate: the evaluation data, in the same form; default: a share of the training data, which is not trained on.
      learner: names of one or several learners, in order.
      target: a budget, such as '50% macs', '50% parameters', '75% zeros' or '4 bits', that one of the learners keeps;
        several are separated by commas. Shares are what is left of the uncompressed network, or the share of zeros.
      run_dir: the directory of the run; default: one below `runs`, named after the options.
      verbose: whether log lines are shown; the run directory has them in any case.
      options: all flags of the program by name, without dashes.
    """

    def __init__(
        self,
        model: Any = None,
        train: Any = None,
        evaluate: Any = None,
        *,
        learner: str | Iterable[str] | None = None,
        target: str | None = None,
        run_dir: str | os.PathLike[str] | None = None,
        verbose: bool = True,
        **options: Any,
    ):
        self._model, self._train, self._evaluate = model, train, evaluate
        self._learner, self._target, self._run_dir, self._verbose = learner, target, run_dir, verbose
        self._options = {flag: value for flag, value in options.items() if value is not None}

    @property
    def flags(self) -> list[str]:
        """The flags of the program for the same run, without the places of a model and of data that are objects.

        >>> Compressor('net.keras', 'photos', learner='chn-pruned-rmt', target='50% macs', seed=3).flags[:3]
        ['--save_path=net.keras', '--dataset=folder', '--data_dir_local=photos']

        Raises:
          UsageError: an argument has a wrong type, or no learner keeps the budget of the target.
        """
        return self._arguments(self._flags_of_model() | self._data().flags)

    def run(self) -> CompressionResult:
        """Runs the learners, exports and measures the files; continues an interrupted run, and opens a finished one.

        Returns:
          The model, the files and the report of the run.

        Raises:
          UsageError: an argument or an option is wrong; nothing has been trained.
          PocketFlowError: the run has failed, or a condition such as `require_smaller` does not hold.
          KeyboardInterrupt: it was interrupted; the same call continues it.
        """
        with log_file.started(bool(self._options.get('debug')), quiet=not self._verbose), signals_passed_on():
            return CompressionResult(self._run())

    def _run(self) -> Path:
        """Runs and returns the run directory."""
        data, flags = self._data(), self._flags_of_model()
        flags |= data.flags
        inputs = Inputs(Path(self._run_dir or self._options.get('zoo_dir', LearnerOptions.zoo_dir)))
        is_object = not (self._model is None or is_path(self._model))
        if is_object or data.write is not None:  # wrong options are refused before anything is written
            stand_ins = {'save_path': 'model.keras'} if is_object else {}
            checked_command([PROGRAM, *self._arguments(stand_ins | flags)])
        command: Command | None = None
        try:
            if is_object:
                flags['save_path'] = str(inputs.keep(self._write_model) / file_name(self._model))
            if data.write is not None:
                flags['data_dir_local'] = str(inputs.keep(data.write))
            command = prepared_command([PROGRAM, *self._arguments(flags)])
            load_tensorflow()
            from pocketflow.learners.program.start import start

            with random_state_kept():
                return start(command, tell=lambda summary: None)
        finally:
            inputs.remove_unused([] if command is None else RunDirectory(run_path(command)).recorded_flags())

    def _write_model(self, folder: Path) -> str:
        return write_model(self._model, folder)

    def _data(self) -> GivenData:
        return GivenData(self._train, self._evaluate, self._options)

    def _flags_of_model(self) -> dict[str, str]:
        """The flag of a model that is no object."""
        if self._model is None:
            return {}
        refuse_other_models(self._model)
        if not is_path(self._model):
            return {}
        path = os.fsdecode(self._model)
        return {'model' if f'{path}_at_{self._options.get("dataset")}' in PAIRS else 'save_path': path}

    def _arguments(self, flags: Mapping[str, str]) -> list[str]:
        """All arguments; `flags` are those of model and data."""
        own = dict(flags)
        if self._learner is not None:
            own['learner'] = chain(self._learner)
        if self._run_dir is not None:
            own['run_dir'] = os.fsdecode(self._run_dir)
        for flag, value in own.items():
            if as_text(flag, self._options.get(flag, value)) != value:
                raise UsageError(f'{flag}={self._options[flag]}: the other arguments say {flag}={value}; drop one')
        if self._target is not None:
            if self._learner is None:
                raise UsageError(f'target={self._target!r}: give learner, too: it keeps the budget')
            own |= flags_of_target(self._target, learner_names(own['learner']), self._options)
        return as_arguments(own | {flag: value for flag, value in self._options.items() if flag not in own})
