"""The limits of a container go together."""

from __future__ import annotations

from pocketflow.utils.container import limits


def test_memory_is_enough_for_as_many_values_as_are_accepted():
    """float32 values as they were decoded, as weights of the model, and in between."""
    assert 3 * 4 * limits.MAX_VALUES <= limits.MAX_MEMORY
