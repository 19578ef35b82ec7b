"""Completion in a shell, run by bash."""

from __future__ import annotations

import subprocess

import pytest

from pocketflow.learners.program.completion import completion
from pocketflow.learners.program.tools import NESTED
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(
    ('words', 'offered'),
    [
        (['exp'], ['export']),
        (['compress', '--cpr_crit'], ['--cpr_criterion=']),
        (['compress', '--trust_m'], ['--trust_model']),
        (['compress', '--learner', '=', 'unif'], ['uniform', 'uniform-tf']),
        (['check', '--grad_compression', '='], ['none', 'fp16', 'ecq', 'powersgd']),
        (['check', '--model', '=', 'len'], ['lenet']),
        (['export', '--run_dir', '=', 'x'], []),
        (['ser'], ['serve']),
        (['serve', ''], ['init', 'test', 'manifests']),
        (['serve', 'init', '--max_b'], ['--max_batch_size=', '--max_batch_time=']),
        (['serve', 'manifests', '--kind', '=', 'sel'], ['seldon1', 'seldon2']),
    ],
)
def test_bash_completes_commands_flags_and_values(words, offered):
    arguments = ' '.join(f"'{word}'" for word in ['pocketflow', *words])
    script = (
        f'{completion(["bash"], ["serve"], NESTED)}\nCOMP_WORDS=({arguments}); COMP_CWORD={len(words)}; _pocketflow\n'
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(['bash', '-c', script], capture_output=True, text=True, check=True)
    assert [word for word in done.stdout.splitlines() if word] == offered and done.stderr == ''


def test_zsh_runs_the_same_script():
    assert completion(['zsh']).endswith(completion(['bash'])) and 'bashcompinit' in completion(['zsh'])


@pytest.mark.parametrize('arguments', [[], ['fish'], ['bash', 'zsh']])
def test_other_shells_are_refused(arguments):
    with pytest.raises(UsageError, match='give the name of a shell: bash or zsh'):
        completion(arguments)
