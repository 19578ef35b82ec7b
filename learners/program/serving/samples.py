"""Samples for a server: those of a run's evaluation set, or random ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pocketflow.learners.program.checks import checked_command
from pocketflow.learners.program.needed_files import refuse_missing_files
from pocketflow.utils.errors import UsageError
from pocketflow.utils.serving.served_file import Tensor
from pocketflow.utils.system.tensorflow_start import load_tensorflow


def evaluation_samples(
    run: Path, tensors: Sequence[Tensor], num_samples: int, model_helper: str | None = None
) -> dict[str, np.ndarray]:
    """The first evaluation samples `[N, ...]` of a run by the names of the file's inputs, as the file takes them.

    Args:
      run: directory of a finished run.
      tensors: the inputs of the file.
      num_samples: the greatest N.
      model_helper: the user's own pair, of a run that has one.

    Raises:
      UsageError: data or flags of the run cannot be used, or do not fit the file.
    """
    helper_flag = [] if model_helper is None else [f'--model_helper={model_helper}']
    command = checked_command(['pocketflow', '--exec_mode=eval', f'--run_dir={run}', *helper_flag])
    refuse_missing_files(command)
    load_tensorflow()
    from pocketflow.learners.program.modes import finished_model
    from pocketflow.learners.program.pipeline import load_fitting_model
    from pocketflow.learners.program.start import make_invocation
    from pocketflow.utils.export.inputs import as_pixels
    from pocketflow.utils.export.signature import named_inputs
    from pocketflow.utils.tasks.nests import concatenated

    invocation = make_invocation(command)
    dataset, takes_pixels = invocation.helper.dataset, tensors[0].dtype == np.uint8
    numbers = np.arange(min(num_samples, len(dataset.source('eval'))))
    batches = dataset.ordered_batches('eval', numbers, normalised=not takes_pixels).as_numpy_iterator()
    images, _ = concatenated(list(batches))
    if len(tensors) > 1:
        model = load_fitting_model(finished_model(invocation), invocation.helper, invocation.reader)
        return fitting(named_inputs(model, images), tensors)
    return fitting({tensors[0].name: as_pixels(images) if takes_pixels else images}, tensors)


def fitting(samples: dict[str, np.ndarray], tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """The samples in the order of the inputs of a file.

    Raises:
      UsageError: names or shapes differ.
    """
    shapes = {name: array.shape[1:] for name, array in samples.items()}
    wanted = {tensor.name: tensor.shape for tensor in tensors}
    if shapes != wanted:
        raise UsageError(f'the samples of the run have the shapes {shapes}, but the served file takes {wanted}')
    return {name: samples[name] for name in wanted}


def random_samples(tensors: Sequence[Tensor], num_samples: int) -> dict[str, np.ndarray]:
    """Samples `[N, ...]`, always the same: standard normal values, pixels, or the integers 0 and 1."""
    random = np.random.default_rng(0)
    found = {}
    for tensor in tensors:
        shape = (num_samples, *tensor.shape)
        if tensor.dtype.kind == 'f' or tensor.is_quantized:
            found[tensor.name] = random.standard_normal(shape, np.float32)
        else:
            found[tensor.name] = random.integers(0, 256 if tensor.dtype == np.uint8 else 2, shape).astype(tensor.dtype)
    return found
