import sys
from pathlib import Path

import pytest

from pocketflow.nets.find_pair import PairOptions, find_pair, import_remedy
from pocketflow.utils.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('package', ['nets', 'learners'])
def test_a_file_with_the_package_names_of_the_original_framework(tmp_path, monkeypatch, package):
    # `python -m pytest` puts the repository into sys.path, from which main.py takes it out.
    monkeypatch.setattr(sys, 'path', [folder for folder in sys.path if Path(folder).resolve() != ROOT])
    file = tmp_path / 'mine.py'
    file.write_text(f'from {package}.abstract import Anything\n')
    with pytest.raises(UsageError) as raised:
        find_pair(PairOptions(model_helper=str(file)))
    assert str(raised.value) == (
        f"--model_helper={file}: importing it failed: ModuleNotFoundError: No module named '{package}'; "
        f'import it as pocketflow.{package} (see docs/extending.md)'
    )


@pytest.mark.parametrize(
    'error',
    [
        ModuleNotFoundError("No module named 'nothing'", name='nothing'),
        ModuleNotFoundError("No module named 'setup'", name='setup'),  # a module of the root, not a package
        ModuleNotFoundError('no name'),
        ImportError('cannot import x', name='nets'),
    ],
    ids=['unknown', 'module', 'nameless', 'found'],
)
def test_other_errors_get_no_such_hint(error):
    assert import_remedy(error) == ''
