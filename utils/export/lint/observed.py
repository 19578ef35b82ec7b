"""The values in a file's tensors for real samples."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pocketflow.utils.errors import PocketFlowError, UsageError, first_line
from pocketflow.utils.export.lint.checks.half_precision import REDUCTIONS, window_size
from pocketflow.utils.export.lint.graph import FileGraph, Operation
from pocketflow.utils.export.lint.rules.conditions import axes
from pocketflow.utils.system.quiet import quiet_native_output


class Observed(NamedTuple):
    """Largest values on samples.

    Attributes:
      extremes: float tensor -> its largest absolute value.
      sums: reducing operation -> the largest sum of absolute values in one of its windows.
    """

    extremes: dict[int, float]
    sums: dict[int, float]


def observe(file: str | os.PathLike[str], graph: FileGraph, samples: Mapping[str, np.ndarray]) -> Observed:
    """Runs a float file on samples, one by one, with all tensors kept and without delegates.

    Args:
      file: the path of the file.
      graph: of the file.
      samples: arrays `[N, ...]` by the names of the file's inputs, or one array under any name.

    Raises:
      UsageError: the samples do not fit the file.
      PocketFlowError: LiteRT cannot run the file.
    """
    computed = [tensor for operation in graph.operations for tensor in operation.outputs]
    kept = [each for each in (*graph.inputs, *computed) if each.type == 'FLOAT32' and not each.is_constant]
    reducing = [o for o in graph.operations if o.name in REDUCTIONS and o.inputs[0] and o.inputs[0].type == 'FLOAT32']
    extremes, sums = dict.fromkeys((t.index for t in kept), 0.0), dict.fromkeys((o.index for o in reducing), 0.0)
    try:
        with quiet_native_output():
            interpreter = Interpreter(
                str(file),
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
                num_threads=1,
            )
            interpreter.allocate_tensors()
            details = interpreter.get_input_details()
            for number in range(len(next(iter(samples.values())))):
                for detail in details:
                    array = samples.get(_name(detail['name']), next(iter(samples.values())))
                    _refuse_other_shape(array, tuple(detail['shape'][1:]), Path(file).name)
                    interpreter.set_tensor(detail['index'], array[number : number + 1].astype(detail['dtype']))
                interpreter.invoke()
                for tensor in kept:
                    extremes[tensor.index] = max(extremes[tensor.index], _extreme(interpreter.get_tensor(tensor.index)))
                for operation in reducing:
                    assert operation.inputs[0] is not None, 'see above'
                    values = interpreter.get_tensor(operation.inputs[0].index)
                    sums[operation.index] = max(sums[operation.index], largest_sum(operation, values))
    except (RuntimeError, ValueError) as error:
        raise PocketFlowError(
            f'{Path(file).name}: LiteRT cannot run this file on the samples ({first_line(error)})'
        ) from error
    return Observed(extremes, sums)


def _refuse_other_shape(array: np.ndarray, shape: tuple[int, ...], file: str) -> None:
    if array.shape[1:] != shape:
        wanted = ', '.join(map(str, ('N', *shape)))
        raise UsageError(f'{file}: samples of shape {array.shape} are given, but the file takes [{wanted}]')


def _name(name: str) -> str:
    """The name of an input without the prefix and the number that the converter adds to it."""
    return name.removeprefix('serving_default_').split(':')[0]


def _extreme(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0.0))


def largest_sum(operation: Operation, values: np.ndarray) -> float:
    """The largest sum of absolute values in a window of a mean, a sum, or an average pooling.

    Sums of absolute values bound all partial sums, in whatever order a GPU adds. Windows of pooling, which are small,
    are bounded by their size times the largest value.
    """
    absolute = np.abs(values.astype(np.float64))
    reduced = axes(operation) if operation.name != 'AVERAGE_POOL_2D' else None
    if reduced is None:
        return window_size(operation) * float(absolute.max(initial=0.0))
    return float(absolute.sum(axis=reduced).max(initial=0.0))
