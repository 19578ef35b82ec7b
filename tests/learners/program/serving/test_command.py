"""The command line of `pocketflow serve`."""

from __future__ import annotations

import pytest

from pocketflow.learners.program.serving.command import serve
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'an action has to come first; give one of init, test, manifests'),
        (['--format=int8', 'init', 'run'], 'an action has to come first'),
        (['start', 'run'], 'start: unknown action; give one of init, test, manifests'),
        (['init'], 'serve init: no argument; give one RUN'),
        (['init', 'a', 'b'], '2 arguments'),
        (['init', 'run', '--kind=kserve'], "Unknown command line flag 'kind'"),
        (['init', 'run', '--max_batch_size=0'], '--max_batch_size=0: must be a number >= 1'),
        (['manifests', 'folder', '--kind=docker'], '--kind=docker: must be one of seldon1, seldon2, kserve'),
        (['test', 'folder', '--time_limit=0'], '--time_limit=0'),
    ],
)
def test_wrong_calls_are_refused_in_one_line(arguments, message):
    with pytest.raises(UsageError) as raised:
        serve(arguments)
    assert message in str(raised.value) and '\n' not in str(raised.value)


def test_help_lists_the_flags():
    assert '--max_batch_time' in serve(['init', '--help']) and '--kind' not in serve(['init', '--help'])
    assert all(flag in serve(['--help']) for flag in ('serve manifests FOLDER', '--kind', '--concurrency'))


def test_manifests_need_a_folder(tmp_path):
    with pytest.raises(UsageError, match='is no folder of pocketflow serve init'):
        serve(['manifests', str(tmp_path), '--kind=kserve'])
