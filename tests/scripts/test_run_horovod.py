"""Several workers as one job: words, exit codes, signals and lost workers. Small scripts stand in for main.py."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pocketflow.scripts.workers import hosts as hosts_module
from pocketflow.scripts.workers.agent import address_towards
from pocketflow.scripts.workers.hosts import Host, choose_hosts, local_host, num_gpus, parse_hosts
from pocketflow.scripts.workers.job import agent_command, worker_environment
from pocketflow.scripts.workers.mpi import mpirun_command
from pocketflow.utils.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / 'scripts/workers/launch.py'
needs_horovod = pytest.mark.skipif(
    importlib.util.find_spec('horovod') is None,
    reason='NOT RUN: Horovod is not installed; scripts/install_horovod.sh builds it',
)

# What the stand-ins for main.py begin with.
HEAD = 'import os, signal, sys, time\nrank = int(os.environ["HOROVOD_RANK"])\n'
CHECKPOINT = (
    HEAD
    + """
def stop(signum, frame):
    with open(f'{sys.argv[1]}/got-{rank}', 'a') as file:
        file.write(f'{signum} ')
    time.sleep(float(sys.argv[2]))
    open(f'{sys.argv[1]}/checkpoint-{rank}', 'w').close()
    sys.exit(128 + signum)

signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
open(f'{sys.argv[1]}/{os.getpid()}.ready', 'w').close()
time.sleep(60)
"""
)


def dry_run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / 'scripts/run_horovod.sh', *words],
        env={**os.environ, 'POCKETFLOW_DRY_RUN': '1'},
        capture_output=True,
        text=True,
        check=False,
    )


def command(options: Sequence[str], code: str, *words: str) -> list[str]:
    return [sys.executable, str(LAUNCH), *options, '--', sys.executable, '-c', code, *words]


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, 'PYTHONPATH': str(ROOT), **extra}


def run(options: Sequence[str], code: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(options, code, *words), env=environment(**env), capture_output=True, text=True, check=False, timeout=100
    )


def assert_refused(result: subprocess.CompletedProcess[str], text: str) -> None:
    assert result.returncode == 2
    assert text in result.stderr and result.stderr.count('\n') == 1
    assert result.stdout == ''


def fake_program(folder: Path, name: str, script: str) -> str:
    """A program of that name; returns a PATH that begins with it."""
    file = folder / name
    file.write_text(f'#!/bin/sh\n{script}', encoding='utf-8')
    file.chmod(0o755)
    return f'{folder}{os.pathsep}{os.environ["PATH"]}'


# From the user's words to the command.


def test_the_words_of_main_and_of_the_launcher_are_told_apart():
    shown = dry_run(
        '-n=8',
        'nets/resnet_at_cifar10_run.py',
        '-H=a:4,b:4',
        '--learner=uniform',
        '--verbose_workers',
        '--note=it\'s "5 $HOME" *',
        '',
        '--checkpoint_time=300',
    ).stdout.split('\n')
    python = str(ROOT / '.venv/bin/python')
    assert shown == [
        python,
        str(LAUNCH),
        '-n=8',
        '-H=a:4,b:4',
        '--verbose_workers',
        '--checkpoint_time=300',
        '--',
        python,
        str(ROOT / 'main.py'),
        '--enbl_multi_gpu',
        '--model=resnet',
        '--dataset=cifar10',
        '--learner=uniform',
        '--note=it\'s "5 $HOME" *',
        '',
        '',
    ]


def test_without_flags_it_is_the_quickstart():
    assert dry_run('--nb_gpus=2').stdout.splitlines()[2:] == [
        '-n=2',
        '--',
        str(ROOT / '.venv/bin/python'),
        str(ROOT / 'main.py'),
        '--enbl_multi_gpu',
        f'--flagfile={ROOT}/scripts/flags/quickstart.flags',
    ]


@pytest.mark.parametrize(
    ('word', 'text'),
    [
        ('-H', '-H: the hosts are written -H=host1:4,host2:4'),
        ('-n=two', 'the number of workers is a whole number >= 1'),
        ('--checkpoint_time=soon', 'the time is a whole number of seconds'),
        ('resnet', "'resnet' is not nets/"),
    ],
)
def test_malformed_words_are_refused(word: str, text: str):
    assert_refused(dry_run(word), text)


def test_horovod_is_asked_for_once(tmp_path: Path):
    shutil.copytree(ROOT / 'scripts', tmp_path / 'scripts')
    for name in ('setup.py', 'constraints.txt'):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / '.venv/bin').mkdir(parents=True)
    fake_program(tmp_path / '.venv/bin', 'python', f'echo "$@" >>{tmp_path}/log\n')
    for _ in range(2):
        subprocess.run([tmp_path / 'scripts/run_horovod.sh', '-n=2', '--seed=1'], check=True, capture_output=True)
    calls = (tmp_path / 'log').read_text().splitlines()
    assert calls.count('-c import horovod.tensorflow') == 1
    launch = f'{tmp_path}/scripts/workers/launch.py -n=2 -- {tmp_path}/.venv/bin/python {tmp_path}/main.py'
    assert [call for call in calls if 'launch.py' in call] == [f'{launch} --enbl_multi_gpu --seed=1'] * 2


# Hosts.


@pytest.mark.parametrize('text', ['host', 'host:', 'host:0', 'host:x', 'a:1,,b:1', 'a:1 b:1', '-oProxy=x:1', ':2', ''])
def test_malformed_hosts_are_refused(text: str):
    with pytest.raises(UsageError, match='is not HOST:SLOTS; give the hosts as -H=host1:4,host2:4'):
        parse_hosts(text)


def test_a_host_must_not_be_named_twice():
    with pytest.raises(UsageError, match='a is named twice'):
        parse_hosts('a:1,b:2,a:1')


def test_hosts_are_filled_in_order():
    assert choose_hosts('a:2,b.c-d:4,e:1', 3) == [Host('a', 2), Host('b.c-d', 1)]
    with pytest.raises(UsageError, match='-n=5: -H=a:2,b:2 has 4 slots; give -n=4 or less'):
        choose_hosts('a:2,b:2', 5)


def test_gpus_limit_the_workers_and_cores_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert local_host(1000) == Host('localhost', 1000) or num_gpus(dict(os.environ))
    path = fake_program(tmp_path, 'nvidia-smi', 'printf "GPU 0: X (UUID: a)\\n  MIG\\nGPU 1: X (UUID: b)\\n"\n')
    monkeypatch.setenv('PATH', path)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    assert local_host(2) == Host('localhost', 2)
    with pytest.raises(UsageError, match=r'-n=3: this machine has 2 GPU\(s\), and each worker needs one; give -n=2'):
        local_host(3)
    assert [num_gpus({'PATH': path, 'CUDA_VISIBLE_DEVICES': devices}) for devices in ('', '-1', '1', '0,1')] == [
        0,
        0,
        1,
        2,
    ]


def test_an_unknown_host_is_named():
    with pytest.raises(UsageError, match='-H: no-such-host.invalid: no host is known by this name'):
        _ = Host('no-such-host.invalid', 1).is_local


def test_the_launcher_refuses_more_workers_than_slots():
    assert_refused(
        run(['-n=5', '-H=localhost:2'], ''),
        'run_horovod.sh: -n=5: -H=localhost:2 has 2 slots; give -n=2 or less, or more slots',
    )


def test_the_launcher_refuses_hosts_that_it_cannot_reach(tmp_path: Path):
    try:
        address_towards('192.0.2.1')
    except OSError as error:
        pytest.skip(f'NOT RUN: this machine has no network ({error})')
    path = fake_program(tmp_path, 'ssh', 'echo "ssh: connect to host x: refused" >&2; exit 255')
    assert_refused(
        run(['-n=2', '-H=localhost:1,192.0.2.1:1'], '', PATH=path),
        'run_horovod.sh: -H: 192.0.2.1 cannot be reached over ssh without a password: ssh: connect',
    )


@pytest.mark.parametrize(
    ('script', 'reason'),
    [
        (
            'echo "x@y: Permission denied (publickey)." >&2; exit 255',
            'over ssh without a password: x@y: Permission denied',
        ),
        (
            'echo /repo/agent.py; exit 1',
            'has no /repo/agent.py; the repository and its .venv must be at the same place',
        ),
        ('sleep 30', 'does not answer over ssh within 0.5 s'),
    ],
)
def test_an_unreachable_host_is_named(script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('PATH', fake_program(tmp_path, 'ssh', script))
    monkeypatch.setattr(hosts_module, 'REACH_TIMEOUT_S', 0.5)
    with pytest.raises(UsageError, match=f'-H: 192.0.2.1 .*{reason}'.replace('(', r'\(').replace(')', r'\)')):
        hosts_module.check_reachable([Host('localhost', 1), Host('192.0.2.1', 1)], [Path('/repo/agent.py')])


# Programs that start the agents.


def test_the_workers_of_other_hosts_take_over_what_concerns_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('NCCL_DEBUG', 'INFO')
    monkeypatch.setenv('TF_CPP_MIN_LOG_LEVEL', '0')
    monkeypatch.setenv('SECRET', 'x')
    there, here = (worker_environment({'HOROVOD_RANK': '1'}, forward) for forward in (True, False))
    assert here == {'HOROVOD_RANK': '1', 'PYTHONUNBUFFERED': '1', 'TF_CPP_MIN_LOG_LEVEL': '0'}
    assert there.items() >= {**here, 'NCCL_DEBUG': 'INFO'}.items() and 'SECRET' not in there


def test_a_step_of_a_slurm_job_has_all_cores_of_its_host(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('SLURM_CPUS_ON_NODE', '16')
    words = agent_command(Host('node7', 4), srun=True)
    assert {'srun', '--nodelist=node7', '--cpus-per-task=16', '--overlap', '--ntasks=1'} <= set(words)
    assert words[words.index('SLURM_CPUS_PER_TASK') - 1] == '-u'


def test_mpirun_gets_the_variables_and_the_time_to_write_a_checkpoint():
    words = mpirun_command(4, 'a:2,b:2', ['python', 'main.py', 'a b'], ['NCCL_DEBUG', 'HOME', 'PYTHONPATH'])
    assert words[-3:] == ['python', 'main.py', 'a b'] and words[words.index('-H') + 1] == 'a:2,b:2'
    assert [words[i + 1] for i, word in enumerate(words) if word == '-x'] == ['NCCL_DEBUG', 'PYTHONPATH']
    assert words[words.index('odls_base_sigkill_timeout') + 1] == '120'
    assert '-H' not in mpirun_command(4, None, ['x'], [])


@pytest.mark.parametrize(
    ('script', 'text'),
    [
        (None, '--mpi: there is no mpirun; install Open MPI'),
        ('echo "Intel(R) MPI Library"', '--mpi: mpirun is Intel(R) MPI Library, not Open MPI'),
    ],
)
def test_mpi_needs_open_mpi(script: str | None, text: str, tmp_path: Path):
    path = fake_program(tmp_path, 'mpirun', script) if script else str(tmp_path)
    assert_refused(run(['-n=2', '--mpi'], '', PATH=path), f'run_horovod.sh: {text}')


def test_slurm_must_be_there(tmp_path: Path):
    assert_refused(run(['-n=1', '--srun', '-H=localhost:1'], '', PATH=str(tmp_path)), '--srun: there is no srun here')


def test_mpirun_takes_over(tmp_path: Path):
    path = fake_program(
        tmp_path,
        'mpirun',
        '[ "$1" != --version ] || { echo "mpirun (Open MPI) 4"; exit; }\nprintf "%s|" "$@"; exit 7\n',
    )
    result = run(['-n=2', '--mpi'], 'a  "$HOME" *', PATH=path)
    assert result.returncode == 7 and result.stdout.endswith('|-c|a  "$HOME" *|')


# Whole jobs.


@needs_horovod
def test_words_survive_and_only_worker_0_is_heard():
    words = ['a  b', 'it\'s "5 $HOME"', '*', '', '${x}', '`id`', 'new\nline', 'ä']
    code = HEAD + 'print(sys.argv[1:]); print(os.environ["HOROVOD_SIZE"], file=sys.stderr)'
    result = run(['-n=2'], code, *words)
    assert (result.returncode, result.stdout, result.stderr) == (0, f'{words}\n', '2\n')


@needs_horovod
def test_all_workers_can_be_heard():
    result = run(['-n=3', '--verbose_workers'], HEAD + 'print("I am", rank)')
    assert result.returncode == 0 and result.stdout == 'I am 0\n'
    assert sorted(result.stderr.splitlines()) == ['[1] I am 1', '[2] I am 2']


STRANGER = (
    HEAD
    + """
import http.client
address, port = os.environ['HOROVOD_GLOO_RENDEZVOUS_ADDR'], int(os.environ['HOROVOD_GLOO_RENDEZVOUS_PORT'])
host, _, secret = address.partition(f':{port}/')
listening = [line.split()[1] for line in open('/proc/net/tcp') if line.split()[3] == '0A']
print(*[place.split(':')[0] for place in listening if int(place.split(':')[1], 16) == port], host)

def ask(method, path, body=None):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()

for method, path in [('PUT', '/global/x'), ('GET', '/global/x'), ('DELETE', '/global/x'), ('HEAD', '/setup.py'),
                     ('GET', '/setup.py'), ('PUT', f'/{secret[:-1]}:{port}/global/x'), ('POST', '/x'),
                     ('HEAD', f'/{secret}:{port}/setup.py'), ('PUT', '/'), ('GET', '/' + 'a' * 60000)]:
    assert ask(method, path, b'1' if method == 'PUT' else None) == (404, b''), (method, path)
assert ask('PUT', f'/{secret}:{port}/mine/x', b'1')[0] == 200
assert ask('GET', f'/{secret}:{port}/mine/x') == (200, b'1')
"""
)


@needs_horovod
def test_a_stranger_cannot_take_part_in_the_rendezvous_of_a_job_on_this_machine():
    result = run(['-n=1'], STRANGER)
    assert (result.returncode, result.stdout, result.stderr) == (0, '0100007F 127.0.0.1\n', '')


@needs_horovod
def test_an_error_of_all_workers_is_told_once():
    result = run(['-n=3'], HEAD + 'print("error: --x is wrong", file=sys.stderr); sys.exit(2)')
    assert result.returncode == 2 and result.stdout == ''
    first, second = result.stderr.splitlines()
    assert first == 'error: --x is wrong'
    assert second.startswith('run_horovod.sh: worker ') and second.endswith(' ended with exit code 2; the job is over')


@needs_horovod
def test_an_error_of_another_worker_is_told_and_the_rest_is_stopped():
    started = time.monotonic()
    result = run(['-n=2'], HEAD + 'if rank: sys.exit("no such file")\nprint("waiting")\ntime.sleep(60)')
    assert result.returncode == 1 and result.stdout == 'waiting\n'
    assert result.stderr == '[1] no such file\nrun_horovod.sh: worker 1 ended with exit code 1; the job is over\n'
    assert time.monotonic() - started < 40


@needs_horovod
def test_the_cause_is_told_and_not_what_it_has_led_to():
    """Worker 0 notices that worker 1 fails, and has ended before it."""
    result = run(['-n=2'], HEAD + 'if not rank: sys.exit(75)\nprint("no such file")\ntime.sleep(1.5)\nsys.exit(3)')
    assert result.returncode == 3
    assert result.stderr == '[1] no such file\nrun_horovod.sh: worker 1 ended with exit code 3; the job is over\n'


@needs_horovod
def test_two_crashes_may_have_different_reasons():
    result = run(['-n=2'], HEAD + 'time.sleep(1.5 * (1 - rank))\nsys.exit(f"reason {rank}")')
    assert result.returncode == 1 and result.stderr.splitlines()[:2] == ['reason 0', '[1] reason 1']


@needs_horovod
def test_workers_that_have_only_lost_each_other_are_a_failure():
    result = run(['-n=2'], HEAD + 'sys.exit(75)')
    assert result.returncode == 1 and result.stderr.endswith('ended with exit code 75; the job is over\n')


@needs_horovod
def test_a_program_that_cannot_be_started_is_named():
    result = subprocess.run(
        [sys.executable, LAUNCH, '-n=1', '--', '/no/such program'],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 127 and 'cannot start /no/such program' in result.stderr
    assert 'Traceback' not in result.stderr


def test_a_missing_horovod_is_told_in_one_line(tmp_path: Path):
    (tmp_path / 'horovod.py').write_text('raise ImportError("No module named horovod")')
    assert_refused(
        run(['-n=2'], '', PYTHONPATH=f'{tmp_path}{os.pathsep}{ROOT}'),
        'run_horovod.sh: Horovod is not installed (No module named horovod); several workers need it',
    )


@pytest.fixture
def job(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Two workers that write down their signals, take two seconds for a checkpoint, and are up."""
    process = subprocess.Popen(
        command(['-n=2'], CHECKPOINT, str(tmp_path), '2'),
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while len(worker_pids(tmp_path)) < 2:
        assert time.monotonic() < deadline, process.poll()
        time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


def worker_pids(folder: Path) -> list[int]:
    return [int(file.stem) for file in folder.glob('*.ready')]


def is_alive(pid: int) -> bool:
    try:
        return 'Z' not in Path(f'/proc/{pid}/stat').read_text().split()[2]
    except FileNotFoundError:
        return False


@needs_horovod
@pytest.mark.parametrize(('signum', 'code'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_reaches_every_worker_once_and_is_waited_for(
    job: subprocess.Popen, tmp_path: Path, signum: int, code: int
):
    job.send_signal(signum)
    if signum == signal.SIGTERM:
        time.sleep(0.5)
        job.send_signal(signum)
    output, errors = job.communicate(timeout=60)
    assert (job.returncode, output, errors) == (code, '', '')
    for rank in range(2):
        assert (tmp_path / f'got-{rank}').read_text() == f'{int(signum)} '
        assert (tmp_path / f'checkpoint-{rank}').exists()


@needs_horovod
def test_a_worker_0_that_loses_the_others_while_all_are_stopped_has_been_stopped(tmp_path: Path):
    code = HEAD + (
        'signal.signal(signal.SIGTERM, lambda *_: sys.exit(143 if rank else 75))\n'
        'open(f"{sys.argv[1]}/{os.getpid()}.ready", "w").close()\ntime.sleep(60)'
    )
    process = subprocess.Popen(
        command(['-n=2'], code, str(tmp_path)), env=environment(), stderr=subprocess.PIPE, text=True
    )
    while len(worker_pids(tmp_path)) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (143, '')


@needs_horovod
def test_a_killed_worker_takes_the_job_down(job: subprocess.Popen, tmp_path: Path):
    started = time.monotonic()
    pids = worker_pids(tmp_path)
    os.kill(pids[0], signal.SIGKILL)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 137 and time.monotonic() - started < 60
    assert errors.splitlines()[-1].endswith('was ended by SIGKILL (exit code 137); the job is over')
    assert not any(is_alive(pid) for pid in pids)


@needs_horovod
def test_a_killed_launcher_leaves_no_worker_behind(job: subprocess.Popen, tmp_path: Path):
    job.kill()
    deadline = time.monotonic() + 60
    while any(is_alive(pid) for pid in worker_pids(tmp_path)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (tmp_path / 'checkpoint-0').exists() and (tmp_path / 'checkpoint-1').exists()


@needs_horovod
@pytest.mark.parametrize(
    ('seconds', 'signals', 'code'), [(1, [signal.SIGTERM], 143), (100, [signal.SIGINT, signal.SIGINT], 130)]
)
def test_workers_that_do_not_stop_are_killed(seconds: int, signals: list[int], code: int, tmp_path: Path):
    process = subprocess.Popen(
        command(['-n=1', f'--checkpoint_time={seconds}'], CHECKPOINT, str(tmp_path), '60'),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not worker_pids(tmp_path):
        assert process.poll() is None
        time.sleep(0.1)
    for signum in signals:
        process.send_signal(signum)
        time.sleep(0.5)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert 'worker(s) 0 did not end in time and had to be killed; the same command continues' in errors


@needs_horovod
@pytest.mark.parametrize('breaks', [False, True])
def test_workers_on_another_host(tmp_path: Path, breaks: bool):
    """192.0.2.1 is a documentation address; a stand-in for ssh runs here what should run there."""
    try:
        address_towards('192.0.2.1')
    except OSError as error:
        pytest.skip(f'NOT RUN: this machine has no network ({error})')
    ending = 'echo "Connection lost" >&2; exit 255' if breaks else 'cd /; exec sh -c "$command"'
    path = fake_program(
        tmp_path,
        'ssh',
        'for command; do :; done; echo "$@" >>"$0.log"\n'
        f'case $command in exec*) {ending};; *) exec sh -c "$command";; esac\n',
    )
    result = run(
        ['-n=2', '-H=localhost:1,192.0.2.1:3'],
        HEAD + 'open(f"{sys.argv[1]}/{rank}", "w").write(os.getcwd())',
        str(tmp_path),
        PATH=path,
    )
    log = (tmp_path / 'ssh.log').read_text()
    assert '-o BatchMode=yes' in log and ' 192.0.2.1 exec ' in log
    if breaks:
        assert result.returncode == 1 and '[1] Connection lost\n' in result.stderr
        assert result.stderr.splitlines()[-1].startswith('run_horovod.sh: worker 1 on 192.0.2.1: the connection')
    else:
        assert (result.returncode, result.stderr) == (0, '')
        assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == [os.getcwd()] * 2
