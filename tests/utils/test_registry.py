from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.registry import Registry


def test_names_find_classes():
    things = Registry('thing')

    @things.register('one')
    class One:
        pass

    assert things.get('one') is One
    assert list(things) == ['one']
    assert 'one' in things and 'two' not in things


def test_unknown_name_lists_the_known():
    things = Registry('thing')
    things.register('b')(int)
    things.register('a')(str)
    with pytest.raises(UsageError, match=r"unknown thing 'c'; known: a, b"):
        things.get('c')


def test_second_class_of_a_name_is_refused():
    things = Registry('thing')
    things.register('a')(str)
    things.register('a')(str)
    with pytest.raises(ValueError, match="thing 'a' is registered twice"):
        things.register('a')(int)


def test_a_class_that_is_read_again_from_its_file_replaces_itself():
    things = Registry('thing')

    def read() -> type:
        @things.register('one')
        class One:
            pass

        return One

    first, second = read(), read()
    assert things.get('one') is second is not first


@pytest.fixture
def things(tmp_path, monkeypatch) -> Registry:
    """Declares `late`, which the module of that name registers when it is imported."""
    declared = Registry('thing', name_attribute='name')
    declared.declare('late', 'late_thing', declaration='known before')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, 'things_of_test', SimpleNamespace(THINGS=declared))
    (tmp_path / 'late_thing.py').write_text(
        "from things_of_test import THINGS\n\n\n@THINGS.register('late')\nclass Late:\n    pass\n"
    )
    yield declared
    sys.modules.pop('late_thing', None)


def test_a_declared_component_is_imported_when_it_is_asked_for(things):
    assert list(things) == ['late'] and things.declaration('late') == 'known before'
    things.check('late')
    assert 'late_thing' not in sys.modules
    late = things.get('late')
    assert (late.__module__, late.name) == ('late_thing', 'late') and things.get('late') is late


def test_a_declared_name_is_for_its_module_alone(things):
    with pytest.raises(ValueError, match="thing 'late' is registered twice: by late_thing and as <class 'int'>"):
        things.register('late')(int)
    with pytest.raises(ValueError, match="thing 'late' is declared twice"):
        things.declare('late', 'another_module')


def test_a_module_that_does_not_register_what_it_is_declared_for(things):
    things.declare('other', 'things_of_test')
    with pytest.raises(ValueError, match="things_of_test does not register the thing 'other'"):
        things.get('other')


def test_what_was_not_declared(things):
    with pytest.raises(UsageError, match="unknown thing 'none'; known: late"):
        things.check('none')
    things.register('plain')(type('Plain', (), {}))
    with pytest.raises(ValueError, match="the thing 'plain' has no declaration"):
        things.declaration('plain')
