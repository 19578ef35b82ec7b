"""Finds the model/dataset pair that the command line names: a registered one, or one in a user's own file."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pocketflow.datasets.image_options import NO_LABELS
from pocketflow.nets import PAIRS
from pocketflow.nets.options import GIVEN, PairDeclaration
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option
from pocketflow.utils.system.tensorflow_start import load_tensorflow

if TYPE_CHECKING:
    from pocketflow.nets.abstract_model_helper import AbstractModelHelper


@dataclasses.dataclass(frozen=True)
class PairOptions(Options):
    """The model/dataset pair; parsed before all other flags, because each pair defines flags."""

    model: str | None = option('model', None, 'network; without it, that of --save_path')
    dataset: str | None = option('dataset', None, 'data set')
    model_helper: str | None = option('model_helper', None, "file with a user's own model/dataset pair")
    labels: str | None = option(
        'labels',
        None,
        'none: images without labels; the compressed network learns the answers of the one at --save_path',
        choices=(NO_LABELS,),
    )


@dataclasses.dataclass(frozen=True)
class Pair:
    """A model/dataset pair of this project, or of a user's own file.

    Attributes:
      name: `<model>_at_<dataset>`.
      declaration: its options.
      load: returns its class; loads TensorFlow.
    """

    name: str
    declaration: PairDeclaration
    load: Callable[[], type[AbstractModelHelper]]


def given_usages() -> list[str]:
    """How the pairs of given networks are asked for."""
    datasets = [data for model, data in (name.split('_at_') for name in PAIRS) if model == GIVEN]
    return [f'--save_path=MODEL.keras --dataset={data}' for data in datasets]


def find_pair(given: PairOptions) -> Pair:
    """The pair that the options name."""
    is_given = given.model_helper is None and given.model in (None, GIVEN) and f'{GIVEN}_at_{given.dataset}' in PAIRS
    if given.labels is not None and not is_given:
        raise UsageError(
            f'--labels={given.labels}: for a trained network and images without labels '
            f'({" or ".join(given_usages())}); a pair has labels: drop the flag, or --model and --model_helper'
        )
    if given.model_helper is not None:
        return load_helper_file(Path(given.model_helper), given)
    pairs = [name.split('_at_') for name in PAIRS]
    if is_given:
        given = given.replace(model=GIVEN)
    for flag, value, known in (
        ('model', given.model, {model for model, _ in pairs}),
        ('dataset', given.dataset, {data for _, data in pairs}),
    ):
        if value not in known:
            what = f'--{flag}={value}: unknown {flag}' if value else f'--{flag} is missing'
            names = ', '.join(sorted(known - {GIVEN}))
            own = f'; a trained network and your own images: {" or ".join(given_usages())}' if flag == 'model' else ''
            raise UsageError(f'{what}; known: {names} (or --model_helper=FILE.py for your own pair{own})')
    name = f'{given.model}_at_{given.dataset}'
    if name not in PAIRS:
        partners = ', '.join(data for model, data in pairs if model == given.model)
        raise UsageError(
            f'--model={given.model} --dataset={given.dataset}: no such pair; {given.model} goes with '
            f'{partners} (or --model_helper=FILE.py for your own pair)'
        )
    return Pair(name, PAIRS.declaration(name), functools.partial(PAIRS.get, name))


def load_helper_file(path: Path, given: PairOptions) -> Pair:
    """Imports a user's file and returns the pair that it registers."""
    if not path.is_file():
        raise UsageError(f'--model_helper={path}: no such file')
    if path.suffix != '.py':
        raise UsageError(f'--model_helper={path}: not a Python file; its name must end in .py')
    load_tensorflow()  # without its start-up messages; the file imports it anyway
    known = set(PAIRS)
    spec = importlib.util.spec_from_file_location(f'model_helper_{path.stem}', path)
    assert spec is not None and spec.loader is not None, 'there is a loader for files that end in .py'
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(
            f'--model_helper={path}: importing it failed: {type(error).__name__}: {error}{import_remedy(error)}'
        ) from error
    # If this process has imported the file before, its pairs are registered again under known names.
    own = {
        entry
        for entry in vars(module).values()
        if getattr(entry, '__module__', None) == spec.name and isinstance(entry, type)
    }
    added = [name for name in PAIRS if matches(name, given) and (name not in known or PAIRS.get(name) in own)]
    if len(added) != 1:
        raise UsageError(
            f"--model_helper={path}: expected one pair registered by @PAIRS.register('MODEL_at_DATASET'), "
            f'found {", ".join(added) or "none"}; name one of several by --model and --dataset'
        )
    helper_class = PAIRS.get(added[0])
    if not hasattr(helper_class, 'dataset_class'):
        raise UsageError(
            f'--model_helper={path}: class {helper_class.__name__} does not define dataset_class; see docs/extending.md'
        )
    declaration = PairDeclaration(helper_class.net_options_class, helper_class.dataset_class.options_class)
    return Pair(added[0], declaration, lambda: helper_class)


def import_remedy(error: Exception) -> str:
    """A hint for files that import this project's packages by their names in the original framework, else ''.

    `from nets.abstract_model_helper import ...` fails, since all code is imported from the package `pocketflow`.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ''
    package = error.name.partition('.')[0]
    spec = importlib.util.find_spec(f'pocketflow.{package}')
    if spec is None or spec.origin is None or spec.submodule_search_locations is None:  # not a regular package
        return ''
    return f'; import it as pocketflow.{package} (see docs/extending.md)'


def matches(name: str, given: PairOptions) -> bool:
    """Whether a pair's name agrees with `--model` and `--dataset`, where these are given."""
    model, _, dataset = name.partition('_at_')
    return given.model in (None, model) and given.dataset in (None, dataset)


def helper_lines(given: PairOptions) -> list[str]:
    """Comment lines for the flag file with a digest of the user's `--model_helper` file."""
    if given.model_helper is None:
        return []
    return [f'# sha256 of --model_helper: {hashlib.sha256(Path(given.model_helper).read_bytes()).hexdigest()[:8]}']
