"""Finds the model/dataset pair that the command line names, be it registered here or in a user's own file."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pocketflow.nets import PAIRS
from pocketflow.nets.options import GIVEN, PairDeclaration
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option
from pocketflow.utils.system.tensorflow_start import load_tensorflow

if TYPE_CHECKING:
    from pocketflow.nets.abstract_model_helper import AbstractModelHelper


GIVEN_USAGE = '--save_path=MODEL.keras --dataset=folder'
"""How the pair of a given network is asked for."""


@dataclasses.dataclass(frozen=True)
class PairOptions(Options):
    """Which model/dataset pair; read before all other flags, because the pair brings flags of its own."""

    model: str | None = option('model', None, 'network; --dataset=folder takes that of --save_path')
    dataset: str | None = option('dataset', None, 'data set')
    model_helper: str | None = option('model_helper', None, "file with a user's own model/dataset pair")


@dataclasses.dataclass(frozen=True)
class Pair:
    """A model/dataset pair of the tree, or of a user's own file.

    Attributes:
      name: `<model>_at_<dataset>`.
      declaration: its options.
      load: gives its class, which loads TensorFlow.
    """

    name: str
    declaration: PairDeclaration
    load: Callable[[], type[AbstractModelHelper]]


def find_pair(given: PairOptions) -> Pair:
    """The pair that the options name."""
    if given.model_helper is not None:
        return load_helper_file(Path(given.model_helper), given)
    pairs = [name.split('_at_') for name in PAIRS]
    if given.model is None and f'{GIVEN}_at_{given.dataset}' in PAIRS:
        given = given.replace(model=GIVEN)
    for flag, value, known in (
        ('model', given.model, {model for model, _ in pairs}),
        ('dataset', given.dataset, {data for _, data in pairs}),
    ):
        if value not in known:
            what = f'--{flag}={value}: unknown {flag}' if value else f'--{flag} is missing'
            known = ', '.join(sorted(known - {GIVEN}))
            own = f'; a trained network and a folder of images: {GIVEN_USAGE}' if flag == 'model' else ''
            raise UsageError(f'{what}; known: {known} (or --model_helper=FILE.py for your own pair{own})')
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
    load_tensorflow()  # quietly; the file will ask for it
    known = set(PAIRS)
    spec = importlib.util.spec_from_file_location(f'model_helper_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f'--model_helper={path}: importing it failed: {type(error).__name__}: {error}') from error
    # A file that this process has read before registers its pairs anew, under names that are known.
    own = {
        entry
        for entry in vars(module).values()
        if getattr(entry, '__module__', None) == spec.name and isinstance(entry, type)
    }
    added = [name for name in PAIRS if fits(name, given) and (name not in known or PAIRS.get(name) in own)]
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


def fits(name: str, given: PairOptions) -> bool:
    """Whether the pair of that name is what `--model` and `--dataset` ask for, as far as they are given."""
    model, _, dataset = name.partition('_at_')
    return given.model in (None, model) and given.dataset in (None, dataset)


def helper_lines(given: PairOptions) -> list[str]:
    """A comment for the flag file that changes with the text of the user's own `--model_helper`."""
    if given.model_helper is None:
        return []
    return [f'# sha256 of --model_helper: {hashlib.sha256(Path(given.model_helper).read_bytes()).hexdigest()[:8]}']
