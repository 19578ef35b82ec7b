"""Files on an emulated ARM: what is refused, what the comparison says, what is downloaded once; and the real thing.

The emulation itself runs where its folder is there already: `.arm`, or the one that POCKETFLOW_ARM_DIR names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.scripts.arm import check, run_litert
from pocketflow.scripts.arm.comparison import compare
from pocketflow.scripts.arm.machine import CrashError, Machine
from pocketflow.scripts.arm.tolerance import DYNAMIC, FLOAT, INTEGER_STEPS, Tolerance, tolerance
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.inputs import PixelInput

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / 'scripts/check_on_arm.sh'
ARM_DIR = Path(os.environ.get('POCKETFLOW_ARM_DIR') or ROOT / '.arm')
FORMATS = ('float32', 'float16', 'dynamic', 'int8')


@pytest.fixture(scope='module')
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny network's file in each format."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    # Weights of 1024 elements and more become integers in the dynamic format.
    features = keras.layers.Conv2D(64, 3, activation='relu')(inputs)
    outputs = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(features))
    model = keras.Model(inputs, outputs)
    samples = np.random.default_rng(0).standard_normal((8, 8, 8, 3)).astype(np.float32)
    folder = tmp_path_factory.mktemp('files')
    for name in FORMATS:
        (folder / name).write_bytes(convert(model, name, samples))
    return {name: folder / name for name in FORMATS}


def test_each_sample_starts_from_a_state_of_zeros(tmp_path: Path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 3))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.LSTM(5)(inputs)))
    samples = 3 * np.random.default_rng(0).standard_normal((4, 6, 3)).astype(np.float32)
    path = tmp_path / 'lstm.tflite'
    path.write_bytes(convert(model, 'float32'))
    np.testing.assert_allclose(run_litert.run(str(path), samples), model(samples), atol=1e-6)


def run_script(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *words], env={**os.environ, **env}, capture_output=True, text=True, check=False)


def lib(commands: str, arm_dir: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs commands that may use the functions of lib/arm.sh; sourcing it must run nothing."""
    script = f'source {ROOT}/scripts/lib/env.sh; source {ROOT}/scripts/lib/arm.sh; {commands}'
    return subprocess.run(
        ['bash', '-c', script, 'check_on_arm.sh'],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, 'POCKETFLOW_ARM_DIR': str(arm_dir), **env},
    )


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ([], 'name the files to run'),
        (['nowhere.tflite'], 'nowhere.tflite: no such file'),
        ([ROOT / 'LICENSE'], 'LICENSE: not a .tflite file'),
        (['--input=a'], '--input=a: unknown; the only option is --inputs=FILE.npy'),
        (['--inputs=nowhere.npy', ROOT / 'LICENSE'], '--inputs=nowhere.npy: no such file'),
    ],
)
def test_a_wrong_command_line_takes_one_line(words: list[str | Path], message: str, tmp_path: Path):
    result = run_script(*words, POCKETFLOW_ARM_DIR=str(tmp_path / 'arm'))
    assert (result.returncode, result.stdout) == (2, '')
    assert message in result.stderr and result.stderr.count('\n') == 1
    assert not (tmp_path / 'arm').exists()


@pytest.mark.parametrize(
    ('name', 'fake', 'message'),
    [
        ('uname', '[ "$1" = -m ] || echo Darwin', 'Darwin: the emulation needs Linux'),
        ('uname', '[ "$1" = -s ] && echo Linux || echo aarch64', 'this machine is a 64-bit ARM itself'),
    ],
)
def test_machines_that_cannot_or_need_not_emulate_are_told(name: str, fake: str, message: str, tmp_path: Path):
    program = tmp_path / 'bin' / name
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n{fake}\n', encoding='utf-8')
    program.chmod(0o755)
    result = lib('ensure_arm', tmp_path / 'arm', PATH=f'{program.parent}:{os.environ["PATH"]}')
    assert result.returncode == 2
    assert message in result.stderr and result.stderr.count('\n') == 1


def test_without_apt_it_says_what_is_needed(tmp_path: Path):
    result = lib('uname() { echo Linux; }; command() { [[ $2 != apt-get ]]; }; ensure_arm', tmp_path / 'arm')
    assert result.returncode == 2
    assert 'apt-get: not found' in result.stderr and 'Debian 12' in result.stderr and result.stderr.count('\n') == 1


FAKE_DOWNLOADS = (
    'check_arm_host() { :; }; get_qemu() { mkdir -p "$ARM_DIR/new/bin"; cp "$(type -P true)" '
    '"$ARM_DIR/new/bin/$QEMU"; echo qemu; }; get_arm_python() { mkdir "$ARM_DIR/new/root"; }; '
    'get_arm_wheels() { mkdir "$ARM_DIR/new/site"; };'
)


def test_the_folder_is_filled_once_and_again_for_other_wheels(tmp_path: Path):
    arm = tmp_path / 'an arm'
    arm.mkdir()
    (arm / 'mine').touch()
    assert lib(f'{FAKE_DOWNLOADS} ensure_arm', arm).stdout == 'qemu\n'
    assert {path.name for path in arm.iterdir()} == {'bin', 'root', 'site', 'ready', 'log', 'lock', 'mine'}
    assert os.access(arm / 'bin/python', os.X_OK)
    assert lib(f'{FAKE_DOWNLOADS} ensure_arm', arm).stdout == ''
    assert lib(f'{FAKE_DOWNLOADS} ARM_WHEELS=(other); ensure_arm', arm).stdout == 'qemu\n'


def test_an_emulation_that_does_not_start_is_not_ready(tmp_path: Path):
    result = lib(
        f'{FAKE_DOWNLOADS} QEMU=no-qemu; get_qemu() {{ mkdir -p "$ARM_DIR/new/bin"; }}; ensure_arm', tmp_path / 'arm'
    )
    assert result.returncode == 1 and 'LiteRT cannot be loaded on the emulated machine' in result.stderr
    assert lib('is_arm_ready', tmp_path / 'arm').returncode == 1


@pytest.mark.parametrize('step', ['get_qemu', 'get_arm_wheels'])
def test_a_failed_download_leaves_nothing_that_looks_ready(step: str, tmp_path: Path):
    result = lib(f'{FAKE_DOWNLOADS} {step}() {{ die 2 "no network"; }}; ensure_arm', tmp_path / 'arm')
    assert result.returncode == 2 and result.stderr.endswith('check_on_arm.sh: no network\n')
    assert lib('is_arm_ready', tmp_path / 'arm').returncode == 1
    assert lib(f'{FAKE_DOWNLOADS} ensure_arm', tmp_path / 'arm').stdout == 'qemu\n'


def test_a_package_that_cannot_be_had_takes_one_line(tmp_path: Path):
    (tmp_path / 'arm').mkdir()
    result = lib('apt-get() { return 100; }; unpack_packages "$ARM_DIR/root" arm64 libc6', tmp_path / 'arm')
    assert result.returncode == 2
    assert 'apt-get cannot get libc6 for arm64' in result.stderr and result.stderr.count('\n') == 1


def test_each_format_has_the_tolerance_of_its_arithmetic(files: dict[str, Path]):
    found = {name: tolerance(file.read_bytes()) for name, file in files.items()}
    assert [found[name] for name in ('float32', 'float16', 'dynamic')] == [FLOAT, FLOAT, DYNAMIC]
    assert found['int8'].limit == INTEGER_STEPS
    assert found['int8'].step == pytest.approx(check.ExportedFile(files['int8']).output_scale)


def test_float_outputs_are_compared_by_their_range():
    reference = np.array([[0.0, 10.0], [4.0, 2.0]])
    near = compare(reference, reference + [[0, 0], [0, 0.0005]], FLOAT)
    assert near.passed and near.relative == pytest.approx(5e-5)
    assert near.line() == 'float: differs by 5e-05 of the range (at most 0.0001), same top-1 in 2 of 2: ok'
    far = compare(reference, reference + [[0, 0], [0, 3]], FLOAT)
    assert not far.passed and far.same_top1 == 1
    assert far.line() == 'float: differs by 0.3 of the range (at most 0.0001), same top-1 in 1 of 2: DIFFERS'


def test_codes_are_compared_by_their_step():
    reference = np.array([[-128, 127], [0, 1]], np.int8)
    one, two = (
        compare(reference, reference + np.array([[number, 0], [0, 0]], np.int8), Tolerance('int8', 1, 0.1), 0.1)
        for number in (1, 2)
    )
    assert (one.passed, one.difference) == (True, 1)
    assert (two.passed, two.difference, two.relative) == (False, 2, pytest.approx(2 / 255))
    assert '2 steps (at most 1)' in two.line()


def test_what_is_not_a_number_differs_and_other_shapes_are_an_error():
    assert not compare(np.zeros((1, 2)), np.array([[np.nan, 0]]), FLOAT).passed
    with pytest.raises(ValueError, match='shapes'):
        compare(np.zeros((1, 2)), np.zeros((1, 3)), FLOAT)


@pytest.mark.parametrize('name', FORMATS)
def test_a_machine_runs_what_the_file_takes(files: dict[str, Path], name: str, tmp_path: Path):
    file = check.ExportedFile(files[name])
    inputs = file.inputs(None)
    assert inputs.shape == (check.NUM_SAMPLES, 8, 8, 3)
    assert inputs.dtype == (np.int8 if name == 'int8' else np.float32)
    here = Machine('this machine', sys.executable, tmp_path)
    comparison = check.check(file, np.zeros((2, 8, 8, 3)), here, here)
    assert (comparison.difference, comparison.num_samples, comparison.passed) == (0, 2, True)


def test_a_file_that_takes_pixels_gets_pixels(tmp_path: Path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(inputs)))
    path = tmp_path / 'pixels.tflite'
    path.write_bytes(
        convert(model, 'float32', pixels=PixelInput(lambda x: tf.cast(x, tf.float32), tf.uint8, (8, 8, 3)))
    )
    file = check.ExportedFile(path)
    samples = file.inputs(None)
    assert samples.dtype == np.uint8 and samples.shape == (check.NUM_SAMPLES, 8, 8, 3)
    assert samples.min() < 10 and samples.max() > 245
    assert (file.inputs(np.full((1, 8, 8, 3), 254.6)) == 255).all()


def test_a_crash_is_named_and_the_other_files_are_still_run(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arm = tmp_path / 'python'
    arm.write_text(
        f'#!/bin/sh\ncase $2 in *int8) echo "signal 11" >&2; exit 139;; esac\nexec {sys.executable} "$@"\n',
        encoding='utf-8',
    )
    arm.chmod(0o755)
    both = [check.ExportedFile(files[name]) for name in ('int8', 'float32')]
    with pytest.raises(PocketFlowError, match='the outputs of 1 of 2 files on ARM differ'):
        check.check_all(both, np.zeros((1, 8, 8, 3)), str(arm))
    first, second = capsys.readouterr().out.splitlines()
    assert first == f'{files["int8"]}: CRASHES on ARM: signal 11'
    assert second.startswith(f'{files["float32"]}: float: differs by 0 of the range') and second.endswith('ok')


def test_a_program_that_says_nothing_has_its_exit_code_told(tmp_path: Path):
    with pytest.raises(CrashError, match='CRASHES on ARM: exit code 1'):
        Machine('ARM', '/bin/false', tmp_path).run(tmp_path, np.zeros(1))


def test_wrong_files_and_inputs_are_refused(files: dict[str, Path], tmp_path: Path):
    broken = tmp_path / 'broken.tflite'
    broken.write_bytes(b'abcdTFL3' + bytes(range(100)))
    with pytest.raises(UsageError, match='LiteRT cannot read it'):
        check.ExportedFile(broken)
    with pytest.raises(UsageError, match=r'has the shape \(2, 8, 8\), but .* takes \(N, 8, 8, 3\)'):
        check.ExportedFile(files['int8']).inputs(np.zeros((2, 8, 8)))
    with pytest.raises(UsageError, match='not an array written by numpy.save'):
        check.load_samples(str(broken))
    np.save(tmp_path / 'words.npy', np.array(['a']))
    with pytest.raises(UsageError, match='must hold one array of numbers'):
        check.load_samples(str(tmp_path / 'words.npy'))


@pytest.mark.skipif(
    not (ARM_DIR / 'ready').is_file(),
    reason=f'NOT RUN ON ARM: {ARM_DIR} holds no ARM system; scripts/check_on_arm.sh FILE.tflite makes it',
)
def test_on_an_emulated_arm_the_files_compute_the_same(files: dict[str, Path], tmp_path: Path):
    np.save(tmp_path / 'inputs.npy', np.random.default_rng(1).standard_normal((2, 8, 8, 3)))
    chosen = ('float32', 'int8')
    tflite = [files[name] for name in chosen]
    result = run_script(f'--inputs={tmp_path}/inputs.npy', *tflite)
    assert result.returncode == 0, result.stderr
    assert [line.rpartition(': ')[2] for line in result.stdout.splitlines()] == ['ok'] * len(chosen)
    assert 'Downloading' not in result.stderr
