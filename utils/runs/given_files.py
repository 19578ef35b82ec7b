"""Resolves users' paths of models and compression plans: files, run directories that contain them, names in the zoo."""

from __future__ import annotations

from pathlib import Path

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.models.kinds import is_saved_model, missing
from pocketflow.utils.models.zoo import is_zoo_name, zoo_file
from pocketflow.utils.system.paths import path_errors_reported, shown

MODEL_NAME = 'model.keras'
CURVES_NAME = 'curves.json'


def model_file(path: str) -> Path:
    """Resolves the path of a model: the file or SavedModel itself, or the resulting model of a run directory.

    `zoo:NAME` is a model of the zoo; errors are those of `zoo_file`.
    """
    if is_zoo_name(path):
        return zoo_file(path)
    return Path(path) / MODEL_NAME if Path(path).is_dir() and not is_saved_model(path) else Path(path)


def resolve_model_path(path: str, flag: str) -> Path:
    """Resolves a path as `model_file` does; raises a `UsageError` that names the flag if the file is missing."""
    with path_errors_reported():
        try:
            file = model_file(path)
        except PocketFlowError as error:  # of the zoo
            raise type(error)(f'{flag}={error}') from error
        is_there = file.is_file() or is_saved_model(file)
    if not is_there:
        raise UsageError(f'{flag}={path}: {missing(path)}')
    return file


def plan_file(given: str, learner: str) -> Path | None:
    """Resolves the path of a plan: the file itself, or the plan of the learner's last stage in a run directory.

    Returns None if the run directory has no such plan.
    """
    path = Path(given)
    return max(path.glob(f'*-{learner}/plan.json'), default=None) if path.is_dir() else path


def curves_file(given: str) -> Path | None:
    """Resolves the path of sensitivity curves: the file itself, or those of the last stage with curves of a run.

    Returns None if the run directory has none.
    """
    path = Path(given)
    return max(path.glob(f'*/{CURVES_NAME}'), default=None) if path.is_dir() else path


def resolve_curves_path(given: str, flag: str) -> Path:
    """Resolves the value of a flag as `curves_file` does; raises a `UsageError` if there is no such file."""
    found = curves_file(given)
    if found is None or not found.is_file():
        raise UsageError(
            f'--{flag}={given}: no {CURVES_NAME} there; give that file, or the directory of a run that measured curves'
        )
    return found


def resolve_plan_path(given: str, learner: str, flag: str) -> Path:
    """Resolves the value of a flag as `plan_file` does.

    Args:
      given: the flag's value.
      learner: name of the learner whose plan is used.
      flag: the flag's name, for messages.

    Raises:
      UsageError: there is no plan, or it cannot be read.
    """
    found = plan_file(given, learner)
    if found is None:
        raise UsageError(
            f'--{flag}={given}: no plan of {learner} in that run directory; give the directory of a run '
            f'of {learner}, or a plan.json'
        )
    try:
        found.open('rb').close()
    except OSError as error:
        raise UsageError(f'--{flag}: cannot read the compression plan {str(found)!r}: {error}') from None
    return found


def refuse_unreadable(given: str, flag: str) -> None:
    """Raises a `UsageError` if the value of a flag is no file that can be read."""
    try:
        Path(given).open('rb').close()
    except OSError as error:
        raise UsageError(f'--{flag}={shown(given)}: cannot be read: {error.strerror}; give a file') from None
