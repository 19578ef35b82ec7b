"""What is generated for the schedulers of clusters parses, and the words of the user arrive unharmed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORDS = ['--flagfile=a b.flags', '--note=it\'s "5 $HOME" * `id` ${USER} $(pwd) \\ <&>', '', 'ä']

# Writes down its words and that it was asked to stop, which takes it a second, as it takes the workers.
FAKE_HOROVOD = """#!/bin/bash
printf '%s\\n' "$@" >"$0.words"
trap 'echo TERM >>"$0.signals"; sleep 1; exit "${FAKE_STOPPED:-143}"' TERM
touch "$0.ready"
for ((i = 0; i < ${FAKE_TENTHS:-0}; i++)); do sleep 0.1; done
exit "${FAKE_STATUS:-0}"
"""


def jobs(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / 'scripts/cluster/jobs.py', *words], capture_output=True, text=True, check=False
    )


def run_slurm(*words: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / 'scripts/run_slurm.sh', *words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def assert_refused(result: subprocess.CompletedProcess[str], text: str) -> None:
    assert result.returncode == 2
    assert text in result.stderr and result.stderr.count('\n') == 1
    assert result.stdout == ''


def directives(script: str) -> dict[str, str]:
    words = [line.removeprefix('#SBATCH --') for line in script.splitlines() if line.startswith('#SBATCH --')]
    return dict(word.partition('=')[::2] for word in words)


# Slurm.


def test_the_resources_become_directives():
    result = run_slurm('-n=8', '--per_node=4', '--cpus=6', '--memory=10', '--hours=48', '--queue=gpu', '--seed=1')
    assert result.returncode == 0 and result.stderr == ''
    found = directives(result.stdout)
    assert (
        found.items()
        >= {
            'nodes': '2',
            'ntasks-per-node': '4',
            'cpus-per-task': '6',
            'mem': '40G',
            'gpus-per-node': '4',
            'time': '48:00:00',
            'partition': 'gpu',
            'requeue': '',
            'signal': 'B:USR1@180',
            'open-mode': 'append',
        }.items()
    )
    assert subprocess.run(['bash', '-n'], input=result.stdout, text=True, check=False).returncode == 0


def test_without_gpus_none_are_asked_for():
    found = directives(run_slurm('--nb_gpus=4', '--gpus=0', '--sbatch_option=--account=mine').stdout)
    assert 'gpus-per-node' not in found and found['account'] == 'mine'
    assert (found['nodes'], found['ntasks-per-node']) == ('1', '4')


class BatchJob:
    """The generated batch script, run with stand-ins for Slurm's scontrol and for run_horovod.sh."""

    def __init__(self, folder: Path, words: list[str], **env: str):
        self.horovod = folder / 'run_horovod'
        self.calls = folder / 'calls'
        scontrol = f'#!/bin/sh\ncase $1 in show) printf "n1\\nn2\\n";; *) echo "$@" >>"{self.calls}";; esac\n'
        for file, text in ((self.horovod, FAKE_HOROVOD), (folder / 'scontrol', scontrol)):
            file.write_text(text, encoding='utf-8')
            file.chmod(0o755)
        generated = run_slurm('-n=8', *words, cwd=folder)
        script = folder / 'job.sh'
        script.write_text(generated.stdout.replace(f'{ROOT}/scripts/run_horovod.sh', shlex.quote(str(self.horovod))))
        self.process = subprocess.Popen(
            ['bash', script],
            cwd='/',
            env={
                **os.environ,
                'PATH': f'{folder}:{os.environ["PATH"]}',
                'SLURM_JOB_NODELIST': 'n[1-2]',
                'SLURM_JOB_ID': '77',
                **env,
            },
        )

    def interrupt(self, signum: int) -> None:
        while not self.horovod.with_suffix('.ready').exists():
            assert self.process.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)  # until the script waits
        self.process.send_signal(signum)


def test_the_batch_script_passes_the_words_and_the_exit_code(tmp_path: Path):
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    job = BatchJob(folder, WORDS, FAKE_STATUS='3')
    assert job.process.wait(timeout=60) == 3
    assert job.horovod.with_suffix('.words').read_text() == '\n'.join(['-n=8', '--srun', '-H=n1:4,n2:4', *WORDS]) + '\n'
    assert not job.calls.exists()


@pytest.mark.parametrize(('signum', 'queued'), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_job_whose_time_is_up_queues_again(signum: int, queued: bool, tmp_path: Path):
    job = BatchJob(tmp_path, ['--seed=1'], FAKE_TENTHS='300')
    job.interrupt(signum)
    assert job.process.wait(timeout=60) == 143
    assert job.horovod.with_suffix('.signals').read_text() == 'TERM\n'
    assert (job.calls.read_text() if job.calls.exists() else '') == ('requeue 77\n' if queued else '')


def test_a_job_that_fails_when_its_time_is_up_does_not_queue_again(tmp_path: Path):
    job = BatchJob(tmp_path, ['--seed=1'], FAKE_TENTHS='300', FAKE_STOPPED='1')
    job.interrupt(signal.SIGUSR1)
    assert job.process.wait(timeout=60) == 1
    assert job.horovod.with_suffix('.signals').exists() and not job.calls.exists()


def test_submitting_needs_sbatch(tmp_path: Path):
    (tmp_path / 'bash').symlink_to('/bin/bash')
    for name in ('dirname', 'basename', 'env'):
        (tmp_path / name).symlink_to(f'/usr/bin/{name}')
    assert_refused(run_slurm('--submit', '--seed=1', PATH=str(tmp_path)), '--submit: there is no sbatch here')


@pytest.mark.parametrize(
    ('word', 'text'),
    [
        ('-n=6', '-n=6 --per_node=4: the workers must fill all hosts; give a multiple'),
        ('--hours=1.5', "'1.5' is not a whole number >= 1"),
        ('-H=a:1', 'Slurm chooses the hosts'),
        ('--job_name=a b', "'a b' is not a name of small letters"),
        ('x', "'x' is not nets/MODEL_at_DATASET_run.py"),
        ('--gpus=2', '--gpus=2: a worker uses one GPU; give more workers'),
        ('--sbatch_option=x', "'x' is not an option of sbatch"),
        ('-n', 'the number of workers is a whole number >= 1'),
    ],
)
def test_wrong_words_are_refused_before_they_queue(word: str, text: str):
    assert_refused(run_slurm('--per_node=4', word), text)


# Kubernetes.


def test_the_manifest_of_an_mpi_job():
    manifest = yaml.safe_load(
        jobs('mpijob', '-n=8', '--per_node=4', '--image=r/i:1', '--mount=data:/data', '--queue=q', '--', *WORDS).stdout
    )
    assert (manifest['apiVersion'], manifest['kind']) == ('kubeflow.org/v2beta1', 'MPIJob')
    assert manifest['metadata']['labels'] == {'kueue.x-k8s.io/queue-name': 'q'}
    spec = manifest['spec']
    assert spec['slotsPerWorker'] == 4
    launcher, worker = (spec['mpiReplicaSpecs'][name] for name in ('Launcher', 'Worker'))
    assert (launcher['replicas'], worker['replicas'], launcher['restartPolicy']) == (1, 2, 'OnFailure')
    [pod] = launcher['template']['spec']['containers']
    words = [word.replace('$$', '$') for word in pod['command']]  # as Kubernetes reads it
    assert words == ['/pocketflow/scripts/run_horovod.sh', '-n=8', '--mpi', *WORDS]
    [pod] = worker['template']['spec']['containers']
    assert pod['resources']['limits'] == {'cpu': '16', 'memory': '64Gi', 'nvidia.com/gpu': '4'}
    assert {'name': 'mount-0', 'mountPath': '/data'} in pod['volumeMounts']
    volumes = worker['template']['spec']['volumes']
    assert {'name': 'mount-0', 'persistentVolumeClaim': {'claimName': 'data'}} in volumes
    assert {volume['name'] for volume in volumes} == {entry['name'] for entry in pod['volumeMounts']}


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['mpijob'], 'required: --image'),
        (['mpijob', '--image=i', '--mount=data'], "'data' is not CLAIM:/PATH"),
        (['tony', '--per_node=2'], 'unrecognized arguments: --per_node=2'),
        (['pbs'], "'pbs'"),
        ([], 'required: kind'),
    ],
)
def test_wrong_options_are_refused_in_one_line(words: list[str], text: str):
    assert_refused(jobs(*words), text)


# YARN.


def test_the_job_file_of_tony(tmp_path: Path):
    result = jobs('tony', '-n=8', '--image=r/i:1', '--queue=q', '--hours=2', f'--workdir={tmp_path}', '--', *WORDS)
    assert 'com.linkedin.tony.cli.ClusterSubmitter --conf_file=FILE' in result.stderr
    root = ET.fromstring(result.stdout)
    found = {entry.findtext('name'): entry.findtext('value') for entry in root.iter('property')}
    assert root.tag == 'configuration'
    assert (
        found.items()
        >= {
            'tony.application.framework': 'horovod',
            'tony.worker.instances': '8',
            'tony.worker.vcores': '4',
            'tony.worker.memory': '16g',
            'tony.worker.gpus': '1',
            'tony.application.timeout': '7200000',
            'tony.yarn.queue': 'q',
            'tony.docker.enabled': 'true',
            'tony.docker.containers.image': 'r/i:1',
        }.items()
    )
    command = found['tony.worker.command']
    assert '${' not in command  # which Hadoop would replace
    (tmp_path / 'scripts').mkdir()
    script = tmp_path / 'scripts/run_local.sh'
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$@"\n')
    script.chmod(0o755)
    shown = subprocess.run(['bash', '-c', command], capture_output=True, text=True, check=True).stdout
    assert shown == '\n'.join([str(tmp_path), *WORDS, '--enbl_multi_gpu']) + '\n'


def test_without_words_it_is_the_quickstart():
    assert jobs('tony').stdout.count('--flagfile=scripts/flags/quickstart.flags --enbl_multi_gpu') == 1
    assert run_slurm('-n=2').stdout.count(' --flagfile=scripts/flags/quickstart.flags &') == 1
