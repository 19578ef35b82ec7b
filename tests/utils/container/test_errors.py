"""What goes wrong while a container is read is one error that names it."""

from __future__ import annotations

import pytest

from pocketflow.utils.container.errors import UnreadableError, reading
from pocketflow.utils.errors import PocketFlowError


@pytest.mark.parametrize(
    ('error', 'reason'),
    [
        (UnreadableError('its manifest is no JSON'), 'its manifest is no JSON'),
        (MemoryError(), 'this machine has not enough memory for what it declares'),
    ],
)
def test_the_source_and_the_reason_are_named(error, reason):
    with pytest.raises(PocketFlowError) as found, reading('a.pfz'):
        raise error
    assert str(found.value) == f'a.pfz is not a readable .pfz container: {reason}'
    assert found.value.__cause__ is error


def test_other_errors_pass():
    with pytest.raises(KeyError), reading('a.pfz'):
        raise KeyError('x')
