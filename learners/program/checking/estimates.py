"""Estimates of the disk space of a run and of the duration of its export; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

FLOAT_BYTES = 4
NUM_CHECKPOINTS = 3
"""The two that are kept, and the one that is being written."""
MODELS_PER_STAGE = 2
"""The model before and after the training."""
LOG_BYTES = 1 << 20


def run_bytes(num_parameters: Sequence[int], baseline_parameters: int, file_bytes: Iterable[int]) -> int:
    """Largest size of a run directory.

    A stage has a model before and after its training, and checkpoints of all weights with their momentum. Besides,
    there are the uncompressed and the final model, the exported files and logs.

    Args:
      num_parameters: of the model of each stage, in order.
      baseline_parameters: of the uncompressed model.
      file_bytes: sizes of the exported files.

    >>> run_bytes([1000], 2000, [500]) - LOG_BYTES  # 4 * (1000 * (2 + 6) + 2000 + 1000) + 500
    44500
    """
    values = sum(count * (MODELS_PER_STAGE + 2 * NUM_CHECKPOINTS) for count in num_parameters)
    values += baseline_parameters + (num_parameters[-1] if num_parameters else 0)
    return FLOAT_BYTES * values + sum(file_bytes) + LOG_BYTES


def flag_search_seconds(
    num_trials: int,
    num_verified: int,
    verify_factor: float,
    compress_seconds: Sequence[float],
    train_seconds: Sequence[float],
    evaluate_seconds: float,
) -> float:
    """Duration of a search over flags, whose trials run the chain with a short training.

    Args:
      num_trials: number of trials.
      num_verified: number of candidates that are trained longer.
      verify_factor: how much longer.
      compress_seconds, train_seconds: of each stage of a trial.
      evaluate_seconds: of the evaluation of a trial.

    >>> flag_search_seconds(10, 2, 4.0, [1.0], [5.0], 0.5)  # 10 * (1 + 5 + 0.5) + 2 * (1 + 20 + 0.5)
    108.0
    """
    rest = sum(compress_seconds) + evaluate_seconds
    trained = sum(train_seconds)
    return num_trials * (rest + trained) + num_verified * (rest + verify_factor * trained)


def export_seconds(
    trial_seconds: float,
    num_tried: int,
    num_run: int,
    num_calibrated: int,
    latencies: Sequence[float],
    keras_seconds: float,
    conversion_seconds: Mapping[str, float],
) -> float:
    """Duration of an export, from that of a trial on few samples.

    Each file is run on all samples, one after the other as in the measured latency. The calibration of int8 runs
    samples one by one: the time by which its conversion exceeds the fastest one is in proportion to their number.

    Args:
      trial_seconds: duration of the trial.
      num_tried: samples on which each file was run in the trial, and which calibrated the int8 file.
      num_run: samples on which each file will be run.
      num_calibrated: samples that will calibrate the int8 file.
      latencies: seconds per sample of each file that is run.
      keras_seconds: seconds per sample of the Keras models with whose outputs the files are compared.
      conversion_seconds: duration of each conversion in the trial.

    >>> export_seconds(10.0, 16, 1016, 516, [0.001, 0.002], 0.004, {'float32': 1.0, 'int8': 1.5})
    32.625

    (10 of the trial, 1000 * 0.007 of the runs, 500 * 0.5 / 16 of the calibration.)
    """
    more_run, more_calibrated = max(0, num_run - num_tried), max(0, num_calibrated - num_tried)
    slower = conversion_seconds.get('int8', 0.0) - min(conversion_seconds.values(), default=0.0)
    return trial_seconds + more_run * (sum(latencies) + keras_seconds) + more_calibrated * max(0.0, slower) / num_tried
