"""Options as Python values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketflow.learners.program.compressor.arguments import as_arguments, chain
from pocketflow.utils.errors import UsageError


def test_values_are_written_as_on_the_command_line():
    options = {'a': np.float64(0.25), 'b': np.bool_(True), 'c': Path('x/y'), 'd': [1, 2], 'e': None, 'f': np.int32(3)}
    assert as_arguments(options) == ['--a=0.25', '--b=true', '--c=x/y', '--d=1,2', '--f=3']


@pytest.mark.parametrize('value', [{}, [], [[1]], b'x', object()])
def test_other_types_are_refused(value):
    with pytest.raises(UsageError, match='^a: must be a number, a text, a path, True, False, or a list of these, not '):
        as_arguments({'a': value})


@pytest.mark.parametrize('flag', ['exec_mode', 'dry_run', 'enbl_multi_gpu', 'undefok'])
def test_flags_of_other_modes_are_refused(flag):
    with pytest.raises(UsageError, match=f'^{flag}: '):
        as_arguments({flag: True})


def test_learners_may_be_a_list():
    assert chain(['a', 'b']) == chain('a,b') == 'a,b'
