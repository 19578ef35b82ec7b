"""The program finds models of the zoo by name."""

from __future__ import annotations

import re

import pytest

from pocketflow.utils.models.zoo import zoo_models
from tests.conftest import TASK, run_main

pytestmark = pytest.mark.usefixtures('own_folder')


def test_a_model_of_the_zoo_has_the_stated_accuracy():
    outcome = run_main(*TASK, '--exec_mode=eval', '--save_path=zoo:lenet_digits')
    assert outcome.code == 0, outcome.err
    # Of 360 images; on another processor one or two may change sides.
    found = float(re.search(r'accuracy\D+([\d.]+)', outcome.out)[1])
    assert found == pytest.approx(zoo_models()['lenet_digits'].value, abs=0.006)


@pytest.mark.parametrize('flags', [('--save_path=zoo:lenet',), ('--save_path_dst=zoo:lenet', '--enbl_dst')])
def test_an_unknown_name_is_one_line_with_the_known_ones(flags):
    outcome = run_main(*TASK, *flags, '--learner=chn-pruned-rmt')
    assert outcome.code == 2
    line = (
        f'error: {flags[0]}: no such model in the zoo; there are: {", ".join(f"zoo:{name}" for name in zoo_models())}'
    )
    assert outcome.err.splitlines()[-1] == line
