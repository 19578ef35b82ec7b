"""The network of a `Compressor`: an object is saved, and read back as any file of others is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import UsageError, first_line

ACCEPTED = (
    'a functional or sequential model of tf_keras or Keras 3, the path of a saved one, or zoo:NAME; to train and '
    'compress a network of this project give its name and dataset=NAME'
)


def is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def refuse_other_models(model: Any) -> None:
    """Raises a `UsageError` if a model is neither a path nor a model of Keras."""
    if not is_path(model) and (_library(model) is None or not callable(getattr(model, 'save', None))):
        raise UsageError(f'model: {type(model).__name__} given; accepted: {ACCEPTED}')


def file_name(model: Any) -> str:
    """Name of the file for a model; reports name the network after it."""
    return f'{re.sub(r"[^A-Za-z0-9_.+-]+", "_", str(getattr(model, "name", "") or "model"))}.keras'


def write_model(model: Any, folder: Path) -> str:
    """Saves a model as a `.keras` file, and returns a text that tells its content.

    Args:
      model: of tf_keras, or of Keras 3, which writes its own form of the file.
      folder: an existing folder.

    Raises:
      UsageError: Keras cannot save it.
    """
    from pocketflow.learners.program.input_files import content_fingerprint

    path = folder / file_name(model)
    try:
        if _library(model) == 'tf_keras':
            model.save(path, save_format='keras')
        else:
            model.save(path)
    except OSError:
        raise
    except Exception as error:  # Keras raises various types for models that it cannot save
        raise UsageError(
            f'model: {type(model).__name__} cannot be saved as a .keras file ({first_line(error)}); accepted: '
            f'{ACCEPTED}'
        ) from error
    return f'{path.name} {content_fingerprint(path)}'


def _library(model: Any) -> str | None:
    """`tf_keras` or `keras`, if the model is one of theirs."""
    bases = [base.__module__.split('.')[0] for base in type(model).__mro__ if base.__name__ == 'Model']
    return next((name for name in bases if name in ('tf_keras', 'keras')), None)
