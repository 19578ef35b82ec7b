"""Commands in front of the flags."""

from __future__ import annotations

import pytest

from pocketflow.learners.program.checks import checked_command
from pocketflow.learners.program.options import FLAGS_OF_MODES, ProcessOptions
from pocketflow.learners.program.subcommands import SUBCOMMANDS, without_subcommand
from pocketflow.utils.errors import UsageError
from tests.conftest import TASK, run_main

pytestmark = pytest.mark.usefixtures('own_folder')


def test_a_command_stands_for_a_mode():
    assert without_subcommand(['main.py', 'export', '--run_dir=a']) == (
        ['main.py', '--exec_mode=export', '--run_dir=a'],
        'export',
    )
    assert without_subcommand(['main.py', 'compress', '--seed=1']) == (['main.py', '--seed=1'], 'compress')
    assert without_subcommand(['main.py', '--seed=1']) == (['main.py', '--seed=1'], None)
    assert {*FLAGS_OF_MODES} == {known.mode for known in SUBCOMMANDS.values()}


def checked(name: str, *arguments: str):
    argv, subcommand = without_subcommand(['main.py', name, *TASK, *arguments])
    return checked_command(argv, subcommand=subcommand)


def test_flags_that_agree_are_accepted():
    assert checked('train').learner_names == ['full-prec']
    assert checked('compress', '--learner=uniform').learner_names == ['uniform']
    assert checked('search', '--learner=chn-pruned-rmt', '--cpr_prune_option=auto').searches
    assert checked('check', '--learner=uniform').options(ProcessOptions).exec_mode == 'check'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['train', '--learner=uniform'], 'pocketflow train: --learner=uniform compresses; drop it'),
        (['compress'], 'pocketflow compress: --learner is missing: one of '),
        (['search', '--learner=uniform'], 'pocketflow search: nothing is searched'),
        (['check', '--exec_mode=train'], 'pocketflow check: --exec_mode=train is another command'),
    ],
)
def test_flags_that_contradict_a_command_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        checked(*arguments)


def test_unknown_commands_are_refused_with_the_nearest_one():
    outcome = run_main('exprt')
    assert outcome.code == 2 and outcome.err.startswith('error: exprt: unknown command; did you mean export? (known: ')


def test_each_command_has_a_short_help():
    outcome = run_main('export', '--help')
    assert outcome.code == 0 and outcome.out.startswith('pocketflow export: exports the model of a finished run')
    assert '--export_formats' in outcome.out and '--momentum' not in outcome.out
    assert '--momentum' in run_main('export', '--helpfull', *TASK).out
    assert 'chn-pruned-rmt' in run_main('compress', '--help').out
