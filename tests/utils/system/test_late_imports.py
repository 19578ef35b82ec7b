from __future__ import annotations

import sys
import types

import pytest

from pocketflow.utils.system.late_imports import late_names


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package that names the function `sqrt` of `math`, and has a name of its own."""
    made = types.ModuleType('made_package')
    made.own = 1
    monkeypatch.setitem(sys.modules, 'made_package', made)
    made.__getattr__, made.__dir__ = late_names('made_package', {'sqrt': 'math', 'gone': 'no_such_module'})
    return made


def test_a_name_is_imported_when_it_is_used(package):
    assert 'sqrt' not in vars(package) and {'own', 'sqrt', 'gone'} <= set(dir(package))
    assert package.sqrt(9) == 3 and vars(package)['sqrt'] is package.sqrt


def test_other_names_are_unknown(package):
    with pytest.raises(AttributeError, match="module 'made_package' has no attribute 'log'"):
        package.log  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match='no_such_module'):
        package.gone  # noqa: B018
