"""Pairs in files of their own: what is found there, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pocketflow.learners.program.command import Command
from pocketflow.learners.program.identity import recorded_lines, run_path, training_name
from pocketflow.nets import PAIRS
from pocketflow.nets.find_pair import PairOptions, find_pair, import_remedy
from pocketflow.utils.errors import UsageError
from pocketflow.utils.runs.run_directory import RunDirectory
from tests.conftest import command, run_main

ROOT = Path(__file__).resolve().parents[2]

HELPER = '''
from pocketflow.datasets import DigitsDataset
from pocketflow.nets.abstract_model_helper import PAIRS, ClassificationHelper


@PAIRS.register('{name}')
class Mine(ClassificationHelper):
    """A pair of one's own."""

    dataset_class = DigitsDataset
    model_name = 'mine'
    num_epochs = 1
'''


pytestmark = pytest.mark.usefixtures('own_folder')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x = 1', "expected one pair registered by @PAIRS.register('MODEL_at_DATASET'), found none"),
        (
            'import nothing_of_that_name',
            "importing it failed: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        ('def broken(:', 'importing it failed: SyntaxError'),
        (HELPER.format(name='lenet_at_digits'), "ValueError: model/dataset pair 'lenet_at_digits' is registered twice"),
        (
            HELPER.format(name='a_at_digits') + HELPER.format(name='b_at_digits'),
            'found a_at_digits, b_at_digits; name one',
        ),
    ],
)
def test_files_that_give_no_pair(tmp_path, text, message):
    (tmp_path / 'mine.py').write_text(text)
    outcome = run_main('--model_helper=mine.py')
    assert outcome.code == 2 and outcome.err.count('\n') == 1
    assert outcome.err.startswith('error: --model_helper=mine.py: ') and message in outcome.err


def test_one_of_several_pairs_in_a_file(tmp_path):
    (tmp_path / 'mine.py').write_text(HELPER.format(name='a_at_digits') + HELPER.format(name='b_at_digits'))
    given = command('--model_helper=mine.py', '--model=b')
    assert given.pair.name == 'b_at_digits'
    assert recorded_lines(given)[:2] == ['--model=b', f'--model_helper={tmp_path}/mine.py']


def test_a_helper_file_may_be_read_again_in_one_process(tmp_path):
    (tmp_path / 'mine.py').write_text(HELPER.format(name='mine_at_digits'))
    first, second = command('--model_helper=mine.py'), command('--model_helper=mine.py')
    assert first.pair.name == second.pair.name == 'mine_at_digits'
    assert first.pair.load() is not second.pair.load() is PAIRS.get('mine_at_digits')
    (tmp_path / 'mine.py').write_text(HELPER.format(name='other_at_digits'))
    assert command('--model_helper=mine.py').pair.name == 'other_at_digits'


@pytest.mark.parametrize(
    ('left_out', 'missing'), [('', 'build_model'), ('    dataset_class = DigitsDataset\n', 'dataset_class')]
)
def test_an_unfinished_helper_class_is_refused(tmp_path, left_out, missing):
    (tmp_path / 'mine.py').write_text(HELPER.format(name='mine_at_digits').replace(left_out, ''))
    outcome = run_main('--model_helper=mine.py')
    assert outcome.code == 2
    assert outcome.err == (
        f'error: --model_helper=mine.py: class Mine does not define {missing}; see docs/extending.md\n'
    )


def test_epochs_are_missed_before_anything_is_trained(tmp_path):
    """A pair with a schedule of its own needs them too: for searches over flags, and flags that count epochs."""
    text = HELPER.format(name='mine_at_digits').replace('ClassificationHelper', 'AbstractModelHelper')
    for line in ('build_model', 'calc_loss', 'setup_lrn_rate'):
        text += f'    {line} = None\n'
    (tmp_path / 'mine.py').write_text(text.replace('    num_epochs = 1\n', ''))
    outcome = run_main('--model_helper=mine.py')
    assert (outcome.code, outcome.err) == (
        2,
        'error: --model_helper=mine.py: class Mine does not define num_epochs; see docs/extending.md\n',
    )


def test_an_edited_helper_file_is_another_run(tmp_path):
    file, entries = tmp_path / 'mine.py', dict(PAIRS._entries)

    def given(text: str) -> Command:
        PAIRS._entries = dict(entries)
        file.write_text(text)
        return command('--model_helper=mine.py')

    text = HELPER.format(name='mine_at_digits') + '    build_model = None\n'
    first, again, edited = given(text), given(text), given(text + '# other layers\n')
    assert run_path(first) == run_path(again) != run_path(edited)
    assert training_name(first) == training_name(again) != training_name(edited)
    run = RunDirectory(tmp_path / 'run')
    run.acquire(recorded_lines(first))
    run.release()
    PAIRS._entries = dict(entries)
    outcome = run_main('--model_helper=mine.py', '--run_dir=run')
    assert outcome.code == 2 and 'other flags (sha256 of --model_helper: ' in outcome.err
    PAIRS._entries = dict(entries)
    assert command('--flagfile=run/flags.txt').pair.name == 'mine_at_digits'  # the comment is one


def test_a_pair_of_ones_own_is_found_from_anywhere(tmp_path):
    (tmp_path / 'mine.py').write_text(HELPER.format(name='mine_at_digits'))
    entries = dict(PAIRS._entries)
    run = Path('made')
    run.mkdir()
    (run / 'flags.txt').write_text('\n'.join(recorded_lines(command('--model_helper=mine.py'))) + '\n')
    PAIRS._entries = entries
    assert command('--exec_mode=eval', '--run_dir=made', '--model_helper=./mine.py').pair.name == 'mine_at_digits'


@pytest.mark.parametrize('mode', ['eval', 'export', 'benchmark'])
def test_code_that_only_the_record_of_a_run_names_is_not_run(tmp_path, mode):
    (tmp_path / 'theirs.py').write_text("from pathlib import Path\n\nPath('is_run').touch()\n")
    (tmp_path / 'copied').mkdir()
    (tmp_path / 'copied/flags.txt').write_text('--model_helper=theirs.py\n')
    outcome = run_main(f'--exec_mode={mode}', '--run_dir=copied')
    assert outcome.code == 2 and outcome.err == (
        'error: --run_dir=copied: is a run of --model_helper=theirs.py, whose code is run only if this command names '
        'it, too; give that flag again if you trust the file\n'
    )
    assert not (tmp_path / 'is_run').exists()
    run_main(f'--exec_mode={mode}', '--run_dir=copied', '--model_helper=theirs.py')
    assert (tmp_path / 'is_run').exists()


@pytest.mark.parametrize('package', ['nets', 'learners'])
def test_a_file_with_the_package_names_of_the_original_framework(tmp_path, monkeypatch, package):
    # `python -m pytest` puts the repository into sys.path, from which main.py takes it out.
    monkeypatch.setattr(sys, 'path', [folder for folder in sys.path if Path(folder).resolve() != ROOT])
    file = tmp_path / 'mine.py'
    file.write_text(f'from {package}.abstract import Anything\n')
    with pytest.raises(UsageError) as raised:
        find_pair(PairOptions(model_helper=str(file)))
    assert str(raised.value) == (
        f"--model_helper={file}: importing it failed: ModuleNotFoundError: No module named '{package}'; "
        f'import it as pocketflow.{package} (see docs/extending.md)'
    )


@pytest.mark.parametrize(
    'error',
    [
        ModuleNotFoundError("No module named 'nothing'", name='nothing'),
        ModuleNotFoundError("No module named 'setup'", name='setup'),  # a module of the root, not a package
        ModuleNotFoundError('no name'),
        ImportError('cannot import x', name='nets'),
    ],
    ids=['unknown', 'module', 'nameless', 'found'],
)
def test_other_errors_get_no_such_hint(error):
    assert import_remedy(error) == ''


@pytest.mark.parametrize(
    'given',
    [
        {'model': 'resnet', 'dataset': 'cifar10'},
        {'model_helper': 'mine.py'},
        {'model_helper': 'mine.py', 'dataset': 'folder'},
        {},
    ],
)
def test_pairs_have_labels(given):
    with pytest.raises(UsageError, match='--labels=none: for a trained network and images without labels .*a pair has'):
        find_pair(PairOptions(**given, labels='none'))
    assert find_pair(PairOptions(dataset='npz', labels='none')).name == 'given_at_npz'
