from __future__ import annotations

import os
import warnings

import pytest

from pocketflow.utils.system.quiet import quiet_native_output


def test_native_output_and_warnings_are_discarded(capfd):
    with quiet_native_output():
        os.write(1, b'native output')
        os.write(2, b'native error')
        warnings.warn('python warning', stacklevel=1)
    assert capfd.readouterr() == ('', '')


def test_output_comes_back_after_an_error(capfd):
    with pytest.raises(ValueError, match='reason'), quiet_native_output():
        raise ValueError('reason')
    os.write(1, b'still here')
    assert capfd.readouterr().out == 'still here'
