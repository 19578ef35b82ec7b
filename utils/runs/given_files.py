"""The files that users' paths of models and plans mean: the path itself, or what lies in a run directory."""

from __future__ import annotations

from pathlib import Path

from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.kinds import is_saved_model, missing
from pocketflow.utils.system.paths import explained

MODEL_NAME = 'model.keras'


def model_file(path: str) -> Path:
    """What a user's path of a model means: the file or SavedModel itself, or the result of a run directory."""
    return Path(path) / MODEL_NAME if Path(path).is_dir() and not is_saved_model(path) else Path(path)


def resolve_model_path(path: str, flag: str) -> Path:
    """The file that a user's path means, as `model_file` says; a `UsageError` that names the flag if it is missing."""
    with explained():
        file = model_file(path)
        is_there = file.is_file() or is_saved_model(file)
    if not is_there:
        raise UsageError(f'{flag}={path}: {missing(path)}')
    return file


def plan_file(given: str, learner: str) -> Path | None:
    """The file that a user's path means: itself, or in a run directory the plan of the learner's last stage, if any."""
    path = Path(given)
    return max(path.glob(f'*-{learner}/plan.json'), default=None) if path.is_dir() else path


def resolve_plan_path(given: str, learner: str, flag: str) -> Path:
    """The file that a user's flag means, as `plan_file` says.

    Args:
      given: the flag's value.
      learner: whose plan is looked for in a run directory.
      flag: the flag's name, for messages.

    Raises:
      UsageError: there is none, or it cannot be read.
    """
    found = plan_file(given, learner)
    if found is None:
        raise UsageError(f'--{flag}={given}: no plan of {learner} in that run directory; give the directory of a run '
                         f'of {learner}, or a plan.json')
    try:
        found.open('rb').close()
    except OSError as error:
        raise UsageError(f'--{flag}: cannot read the compression plan {str(found)!r}: {error}') from None
    return found
