from __future__ import annotations

from pocketflow.utils.export.lint.findings import LONGEST_PLACE, NUM_PLACES, places_of
from pocketflow.utils.export.lint.graph import Operation, Tensor


def operation(name: str) -> Operation:
    return Operation(0, 'RELU', 1, (), (Tensor(0, name, (1,), 'FLOAT32'),))


def test_the_first_places_are_named_once_and_shortened():
    operations = [operation(name) for name in ('a;b', 'a;c', 'x' * 70, 'y', 'z')]
    places = places_of(operations)
    assert places[0] == 'a' and places[2] == 'y' and len(places) == NUM_PLACES
    assert places[1].startswith('...x') and len(places[1]) == LONGEST_PLACE
