"""What a run leaves as it was."""

from __future__ import annotations

import random
import signal

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.program.compressor.surroundings import random_state_kept, signals_passed_on
from pocketflow.utils.system.interrupts import Interrupted


def test_random_numbers_go_on_as_if_nothing_had_been():
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    with random_state_kept():
        keras.utils.set_random_seed(7)
    assert (random.random(), np.random.random()) == expected


def test_ctrl_c_is_one_of_the_program():
    with pytest.raises(KeyboardInterrupt), signals_passed_on():
        raise Interrupted(signal.SIGINT)


def test_a_signal_reaches_the_handler_of_the_program():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with pytest.raises(KeyboardInterrupt, match='stopped by SIGTERM'), signals_passed_on():
            raise Interrupted(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
