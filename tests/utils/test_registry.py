from __future__ import annotations

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
