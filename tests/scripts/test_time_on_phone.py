"""Timing on phones, with a stub in place of `adb` that replays the messages of adb and of benchmark_model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pocketflow.scripts.phone import time_files
from pocketflow.scripts.phone.adb import Adb, chosen, last_line
from pocketflow.utils.errors import PocketFlowError, UsageError

ROOT = Path(__file__).resolve().parents[2]
RESULT = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Num threads: [1]
INFO: Graph: [/data/local/tmp/model.tflite]
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Running benchmark for at least 10 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=151 first=4900 curr=3300 min=3200 max=4900 avg=3480.2 std=390

INFO: Running benchmark for at least 100 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=301 first=3280 curr=3390 min=3260 max=3400 avg=3320.94 std=45 p5=3265 median=3318 p95=3390

INFO: Inference timings in us: Init: 855, First inference: 4900, Warmup (avg): 3480.2, Inference (avg): 3320.94
INFO: Memory footprint delta from the start of the tool (MB): init=1.5 overall=2.25
"""
REFUSED = """INFO: STARTING!
ERROR: Model provided has model identifier 'xxxx', should be 'TFL3'
ERROR: Failed to load model /data/local/tmp/model.tflite
ERROR: Benchmarking failed.
"""
STUB = """#!{python}
import json, os, sys
plan = json.load(open({plan!r}))
with open({log!r}, 'a') as log:
    log.write(json.dumps(sys.argv[1:]) + '\\n')
words = sys.argv[1:]
if words == ['devices']:
    print('* daemon started successfully\\nList of devices attached')
    for serial, state in plan['devices'].items():
        print(f'{{serial}}\\t{{state}}')
    print()
    sys.exit()
assert words[0] == '-s' and words[1] in plan['devices']
serial, action = words[1], words[2]
if action == 'push':
    if plan.get('full') and words[4].endswith('model.tflite'):
        print("adb: error: failed to copy '%s' to '%s': remote No space left on device" % tuple(words[3:5]))
        sys.exit(1)
    print('1 file pushed, 0 skipped.')
    with open({pushed!r}, 'w') as note:
        note.write(words[3])
elif action == 'shell':
    command = words[3]
    if plan.get('gone'):
        print(f"error: device '{{serial}}' not found", file=sys.stderr)
        sys.exit(1)
    status = 0
    if 'getprop' in command:
        print('arm64-v8a')
    if '--graph=' in command:
        text, status = plan['runs'].get(os.path.basename(open({pushed!r}).read()), plan['usual'])
        print(text, end='')
    print(f'exit-status-of-the-command={{status}}')
"""


class Phones:
    """The stub, what it is to say, and what was asked of it."""

    def __init__(self, folder: Path):
        self.folder, self.program = folder, folder / 'bin' / 'adb'
        self.program.parent.mkdir(parents=True)
        paths = {name: str(folder / name) for name in ('plan', 'log', 'pushed')}
        self.program.write_text(STUB.format(python=sys.executable, **paths))
        self.program.chmod(0o755)
        self.says()
        self.tool = folder / 'benchmark_model'
        self.tool.write_bytes(b'\x7fELF' + bytes(14) + (183).to_bytes(2, 'little'))

    def says(self, devices=None, runs=None, **flags) -> None:
        plan = {'devices': devices or {'PHONE1': 'device'}, 'runs': runs or {}, 'usual': (RESULT, 0), **flags}
        if devices == {}:
            plan['devices'] = {}
        (self.folder / 'plan').write_text(json.dumps(plan))

    @property
    def commands(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / 'log').read_text().splitlines()]

    def time(self, *words) -> None:
        time_files.run([f'--adb={self.program}', f'--tool={self.tool}', *map(str, words)])


@pytest.fixture
def phones(tmp_path) -> Phones:
    return Phones(tmp_path / 'phones')


@pytest.fixture
def files(tmp_path) -> list[Path]:
    paths = [tmp_path / f'model_{name}.tflite' for name in ('float32', 'int8')]
    for path in paths:
        path.write_bytes(b'\x1c\0\0\0TFL3rest')
    return paths


def test_a_table_of_the_times(phones, files, capsys):
    phones.time(*files)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ['phone', 'file', 'mean', 'ms', 'p50', 'ms', 'min', 'ms', 'std', 'ms', 'runs']
    assert [row.split() for row in rows] == [
        ['PHONE1', str(path), '3.321', '3.318', '3.260', '0.045', '301'] for path in files
    ]
    folder = f'/data/local/tmp/pocketflow-{os.getpid()}'
    shells = [words[3] for words in phones.commands if words[2:3] == ['shell']]
    assert shells[0].startswith(f'{{ mkdir -p {folder}; }}') and shells[-1].startswith(f'{{ rm -rf {folder}; }}')
    assert [words[3] for words in phones.commands if words[2:3] == ['push']] == [str(phones.tool), *map(str, files)]


def test_options_of_the_tool(phones, files):
    options = ('--num_threads=4', '--warmup_runs=3', '--num_runs=7', '--use_xnnpack=false', '--use_gpu', '--cores=f0')
    phones.time(*options, '--tool_flag=--enable_op_profiling=true', files[0])
    (command,) = [words[3] for words in phones.commands if '--graph=' in words[-1]]
    folder = f'/data/local/tmp/pocketflow-{os.getpid()}'
    assert command.startswith(
        f'{{ taskset f0 {folder}/benchmark_model --graph={folder}/model.tflite --num_threads=4 --warmup_runs=3 '
        '--num_runs=7 --use_xnnpack=false --use_gpu=true --enable_op_profiling=true; } 2>&1'
    )


def test_a_file_that_fails_costs_no_other(phones, files, capsys):
    phones.says(runs={files[0].name: (REFUSED, 1)})
    with pytest.raises(PocketFlowError) as caught:
        phones.time(*files)
    assert str(caught.value) == (
        f'{files[0]}: benchmark_model failed on PHONE1 (exit code 1: ERROR: Benchmarking failed.)'
    )
    assert caught.value.exit_code == 1 and str(files[1]) in capsys.readouterr().out
    phones.says(runs={files[0].name: ('INFO: STARTING!\nAborted\n', 0)})
    with pytest.raises(PocketFlowError, match=r'benchmark_model printed no result on PHONE1 \(Aborted\)$'):
        phones.time(*files)
    phones.says(runs={files[0].name: ('Segmentation fault\n', 139)})
    with pytest.raises(PocketFlowError, match=r'failed on PHONE1 \(exit code 139: Segmentation fault\)$'):
        phones.time(*files)


def test_a_full_phone_and_one_that_is_pulled_out(phones, files):
    phones.says(full=True)
    with pytest.raises(PocketFlowError, match=r'cannot be copied to PHONE1 \(.*No space left on device\)'):
        phones.time(files[0])
    phones.says(gone=True)
    with pytest.raises(PocketFlowError, match=r"^PHONE1: connection lost \(error: device 'PHONE1' not found\)$"):
        phones.time(files[0])


def test_several_phones(phones, files, capsys):
    phones.says(devices={'PHONE1': 'device', 'PHONE2': 'device'})
    with pytest.raises(UsageError, match='^2 phones are connected; choose by -s SERIAL: PHONE1, PHONE2$'):
        phones.time(files[0])
    phones.time('-s', 'PHONE2', '-s', 'PHONE1', files[0])
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()[1:]] == ['PHONE2', 'PHONE1']


@pytest.mark.parametrize(
    ('states', 'serials', 'message'),
    [
        ({}, [], 'no phone is connected: .*USB debugging'),
        ({'A': 'unauthorized'}, [], '^phone A has not allowed this computer .* confirm "Allow USB debugging"'),
        ({'A': 'offline'}, ['A'], '^phone A does not answer'),
        ({'A': 'no permissions (user in plugdev group; are your udev rules wrong?); see [http]'}, [], 'udev rules'),
        ({'A': 'strange'}, [], "^phone A is 'strange'$"),
        ({'A': 'device'}, ['B'], '^-s B: no such phone is connected; there are: A$'),
    ],
)
def test_phones_that_cannot_be_used(states, serials, message):
    with pytest.raises(UsageError, match=message):
        chosen(states, serials)


def test_devices_as_adb_lists_them(phones):
    listed = {'A': 'unauthorized', 'B': 'no permissions (missing udev rules?); see [http://x]', 'C': 'device'}
    phones.says(devices=listed)
    assert Adb(str(phones.program)).states() == listed


def test_what_is_missing_is_said_first(phones, files, tmp_path):
    with pytest.raises(UsageError, match="nowhere/adb: not found; install Android's platform tools"):
        time_files.run(['--adb=nowhere/adb', f'--tool={phones.tool}', str(files[0])])
    tool, phones.tool = phones.tool, tmp_path / 'none'
    with pytest.raises(UsageError, match=r'--tool=.*none: no such file; docs/deploy.md says'):
        phones.time(files[0])
    phones.tool = tool
    for path, message in ((tmp_path / 'no.tflite', 'no such file'), (tool, 'not a .tflite file')):
        with pytest.raises(UsageError, match=f'{path}: {message}'):
            phones.time(path)
    with pytest.raises(UsageError, match='name the files'):
        phones.time()
    with pytest.raises(UsageError, match='--run_dir=.*holds no run'):
        phones.time(f'--run_dir={tmp_path}')
    assert not (phones.folder / 'log').exists()
    tool.write_bytes(b'\x7fELF' + bytes(14) + (62).to_bytes(2, 'little'))
    with pytest.raises(UsageError, match='is built for x86_64, and the phone has arm64-v8a'):
        phones.time(files[0])
    tool.write_bytes(b'#!/bin/sh')
    with pytest.raises(UsageError, match='is no program for Android; give benchmark_model built for arm64-v8a'):
        phones.time(files[0])


def test_times_are_handed_to_the_report_of_the_run(phones, tmp_path, monkeypatch):
    run, called = tmp_path / 'run', []
    for name in ('model_int8.tflite', 'baseline/model_float32.tflite'):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(b'\x1c\0\0\0TFL3rest')
    (run / 'flags.txt').write_text('')
    monkeypatch.setattr(time_files, 'add_to_report', lambda *words: called.append(words))
    phones.time(f'--run_dir={run}')
    ((_, outputs),) = called
    assert outputs == {
        run / 'baseline/model_float32.tflite': run / 'device/PHONE1/baseline_model_float32.txt',
        run / 'model_int8.tflite': run / 'device/PHONE1/run_model_int8.txt',
    }
    assert all(path.read_text() == RESULT for path in outputs.values())
    other = tmp_path / 'model_int8.tflite'
    other.write_bytes(b'\x1c\0\0\0TFL3rest')
    with pytest.raises(UsageError, match='is no file of --run_dir'):
        phones.time(f'--run_dir={run}', other)
    phones.says(devices={'A': 'device', 'B': 'device'})
    with pytest.raises(UsageError, match='a report holds the times of one phone'):
        phones.time(f'--run_dir={run}', '-s', 'A', '-s', 'B')


def test_the_command_that_adds_times(monkeypatch, tmp_path):
    def call(command):
        commands.append(command)
        return subprocess.CompletedProcess(command, code)

    commands, code = [], 0
    monkeypatch.setattr(time_files.subprocess, 'run', call)
    files = {tmp_path / 'model_int8.tflite': Path('a.txt'), tmp_path / 'baseline/model_float32.tflite': Path('b.txt')}
    time_files.add_to_report(tmp_path, files)
    assert commands[0][2:] == [
        f'--flagfile={tmp_path}/flags.txt',
        f'--run_dir={tmp_path}',
        '--exec_mode=export',
        '--device_latency=int8=a.txt,uncompressed=b.txt',
    ]
    code = 2
    with pytest.raises(PocketFlowError, match='^the times are not in the report of'):
        time_files.add_to_report(tmp_path, files)


def test_errors_are_one_line(phones, files):
    phones.says(devices={})
    done = subprocess.run(
        [sys.executable, '-m', 'pocketflow.scripts.phone.time_files', f'--adb={phones.program}']
        + [f'--tool={phones.tool}', str(files[0])],
        capture_output=True,
        text=True,
    )
    assert (
        done.returncode == 2 and done.stderr.count('\n') == 1 and done.stderr.startswith('time_on_phone.sh: no phone')
    )
    subprocess.run(['bash', '-n', str(ROOT / 'scripts/time_on_phone.sh')], check=True)


def test_the_reason_behind_long_paths_is_kept():
    line = f"adb: error: failed to copy '{'a' * 300}' to 'b': remote No space left on device"
    said = last_line(f'1 file\n{line}\n\n')
    assert (
        said.startswith("adb: error: failed to copy 'aaa")
        and said.endswith('No space left on device')
        and len(said) <= 200
    )
    assert last_line('') == 'no reason given'
