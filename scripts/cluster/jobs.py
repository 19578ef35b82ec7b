"""Writes the job file of a cluster's scheduler for a command line of this project.

    python scripts/cluster/jobs.py slurm  -n=8 --per_node=4 -- --flagfile=FLAGS      an sbatch script
    python scripts/cluster/jobs.py mpijob -n=8 --per_node=4 --image=IMAGE -- ...     a Kubernetes manifest
    python scripts/cluster/jobs.py tony   -n=8 --image=IMAGE -- ...                  a job file of TensorFlow on YARN

What follows `--` is what scripts/run_horovod.sh takes; without it the quickstart. The file goes to the standard output.
Needs nothing but Python, and PyYAML for `mpijob`. See docs/clusters.md.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ['--flagfile=scripts/flags/quickstart.flags']
# The workers have two minutes for a checkpoint; the scheduler sends its signal slightly earlier.
NOTICE_S = 180

SLURM_SCRIPT = """\
#!/usr/bin/env bash
{directives}
# Before the time runs out Slurm sends USR1: the workers write a checkpoint, and the job queues again and continues.
# After a preemption or the loss of a node Slurm itself queues it again. scancel ends it.
set -uo pipefail

cd {folder} || exit 2
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed 's/$/:{per_node}/' | paste -s -d ,)
again=''
{command} &
job=$!
trap 'again=yes; kill -TERM "$job"' USR1
trap 'kill -TERM "$job"' TERM

wait "$job"
# A trap interrupts `wait`; the last one tells the exit code.
while kill -0 "$job" 2>/dev/null; do
  wait "$job"
done
wait "$job"
status=$?
if [[ -n "$again" && "$status" == 143 ]]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
"""


class Parser(argparse.ArgumentParser):
    """Reports errors of the command line in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: {message}\n')


def count(text: str) -> int:
    """A whole number >= 1."""
    if not re.fullmatch('[1-9][0-9]*', text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number >= 1")
    return int(text)


def count_or_none(text: str) -> int:
    """A whole number >= 0."""
    return 0 if text == '0' else count(text)


def job_name(text: str) -> str:
    """A job name that all three schedulers accept."""
    if not re.fullmatch('[a-z]([a-z0-9-]{0,50}[a-z0-9])?', text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a name of small letters, digits and hyphens, a letter first")
    return text


def mount(text: str) -> tuple[str, str]:
    """Splits `CLAIM:/PATH`."""
    claim, colon, path = text.partition(':')
    if not re.fullmatch('[a-z0-9]([a-z0-9.-]*[a-z0-9])?', claim) or not colon or not path.startswith('/'):
        raise argparse.ArgumentTypeError(f"'{text}' is not CLAIM:/PATH, a persistent volume claim and where it appears")
    return claim, path


def sbatch_option(text: str) -> str:
    if not re.fullmatch(r'--[a-z][\w-]*(=\S+)?', text):
        raise argparse.ArgumentTypeError(f"'{text}' is not an option of sbatch, --name=value without blanks")
    return text


def add_resources(parser: Parser) -> None:
    """The options that all kinds of job have."""
    parser.add_argument('-n', '--nb_gpus', dest='num_workers', type=count, default=2, help='workers')
    parser.add_argument('--cpus', type=count, default=4, help='cores per worker')
    parser.add_argument('--memory', type=count, default=16, help='GiB per worker')
    parser.add_argument('--gpus', type=count_or_none, default=1, help='GPUs per worker: 1, or 0 to train on the cores')
    parser.add_argument('--queue', help="Slurm's partition, YARN's queue, Kueue's local queue")
    parser.add_argument('--job_name', type=job_name, default='pocketflow')


def add_hosts(parser: Parser) -> None:
    parser.add_argument('--per_node', type=count, help='workers per host; default: all up to 4')


def add_image(parser: Parser, required: bool) -> None:
    parser.add_argument('--image', required=required, help='container image that holds the repository and its .venv')
    parser.add_argument('--workdir', default='/pocketflow', help='where the image holds the repository')


def command_line() -> Parser:
    parser = Parser(prog='jobs.py', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest='kind', required=True, parser_class=Parser)
    slurm, mpijob, tony = (kinds.add_parser(kind, allow_abbrev=False, prog=parser.prog) for kind in KINDS)
    for each in (slurm, mpijob, tony):
        add_resources(each)
    for each in (slurm, mpijob):
        add_hosts(each)
    slurm.add_argument(
        '--hours', type=count, default=24, help='time limit, after which the job is queued again and continues'
    )
    slurm.add_argument('--sbatch_option', type=sbatch_option, action='append', default=[], help='as --account=mine')
    add_image(mpijob, required=True)
    mpijob.add_argument('--mount', type=mount, action='append', default=[], help='CLAIM:/PATH, for data and runs')
    add_image(tony, required=False)
    tony.add_argument('--hours', type=count_or_none, default=0, help='time limit; 0 for none')
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The job's options; `words` are the arguments after `--`."""
    argv = list(argv)
    split = argv.index('--') if '--' in argv else len(argv)
    parser = command_line()
    job = parser.parse_args(argv[:split])
    job.words = argv[split + 1 :] or QUICKSTART
    if job.gpus > 1:
        parser.error(f'--gpus={job.gpus}: a worker uses one GPU; give more workers')
    if 'per_node' in job:
        job.per_node = job.per_node or min(job.num_workers, 4)
        if job.num_workers % job.per_node:
            parser.error(
                f'-n={job.num_workers} --per_node={job.per_node}: the workers must fill all hosts; give a multiple'
            )
    return job


def slurm(job: argparse.Namespace) -> str:
    """A batch script for sbatch."""
    options = {
        'job-name': job.job_name,
        'nodes': job.num_workers // job.per_node,
        'ntasks-per-node': job.per_node,
        'cpus-per-task': job.cpus,
        'mem': f'{job.memory * job.per_node}G',
        'time': f'{job.hours}:00:00',
        'output': f'{job.job_name}-%j.log',
        'open-mode': 'append',
        'signal': f'B:USR1@{NOTICE_S}',
    }
    if job.gpus:
        options['gpus-per-node'] = job.per_node
    if job.queue:
        options['partition'] = job.queue
    directives = [f'--{name}={value}' for name, value in options.items()] + ['--requeue', *job.sbatch_option]
    command = [str(ROOT / 'scripts/run_horovod.sh'), f'-n={job.num_workers}', '--srun']
    return SLURM_SCRIPT.format(
        directives='\n'.join(f'#SBATCH {word}' for word in directives),
        folder=shlex.quote(str(Path.cwd())),
        per_node=job.per_node,
        command=f'{shlex.join(command)} -H="$hosts" {shlex.join(job.words)}',
    )


def mpijob(job: argparse.Namespace) -> str:
    """A manifest of the MPI Operator, kubeflow.org/v2beta1."""
    import yaml  # imported here, so that the other kinds need no packages

    launcher = container(job, {'cpu': '1', 'memory': '2Gi'})
    words = [f'{job.workdir}/scripts/run_horovod.sh', f'-n={job.num_workers}', '--mpi', *job.words]
    launcher['command'] = [word.replace('$', '$$') for word in words]  # Kubernetes replaces $(NAME)
    resources = {'cpu': str(job.cpus * job.per_node), 'memory': f'{job.memory * job.per_node}Gi'}
    if job.gpus:
        resources['nvidia.com/gpu'] = str(job.per_node)
    worker = container(job, resources)
    worker['volumeMounts'].append({'name': 'shared-memory', 'mountPath': '/dev/shm'})
    shared_memory = {
        'name': 'shared-memory',
        'emptyDir': {'medium': 'Memory'},
    }  # for the communication of a pod's workers
    metadata: dict[str, Any] = {'name': job.job_name}
    if job.queue:
        metadata['labels'] = {'kueue.x-k8s.io/queue-name': job.queue}
    return yaml.safe_dump(
        {
            'apiVersion': 'kubeflow.org/v2beta1',
            'kind': 'MPIJob',
            'metadata': metadata,
            'spec': {
                'slotsPerWorker': job.per_node,
                'runPolicy': {'cleanPodPolicy': 'Running', 'backoffLimit': 10},
                'mpiReplicaSpecs': {
                    'Launcher': replicas(1, launcher, volumes(job)),
                    'Worker': replicas(job.num_workers // job.per_node, worker, [*volumes(job), shared_memory]),
                },
            },
        },
        sort_keys=False,
        width=10**6,
        allow_unicode=True,
    )


def container(job: argparse.Namespace, resources: dict[str, str]) -> dict[str, Any]:
    return {
        'name': job.job_name,
        'image': job.image,
        'workingDir': job.workdir,
        'resources': {'requests': dict(resources), 'limits': dict(resources)},
        'volumeMounts': [{'name': f'mount-{i}', 'mountPath': path} for i, (_, path) in enumerate(job.mount)],
    }


def volumes(job: argparse.Namespace) -> list[dict[str, Any]]:
    return [
        {'name': f'mount-{i}', 'persistentVolumeClaim': {'claimName': claim}} for i, (claim, _) in enumerate(job.mount)
    ]


def replicas(number: int, of: dict[str, Any], with_volumes: list[dict[str, Any]]) -> dict[str, Any]:
    """Pods that restart after a failure and continue the training, with time for a checkpoint before they end."""
    pod = {'terminationGracePeriodSeconds': NOTICE_S, 'containers': [of], 'volumes': with_volumes}
    return {'replicas': number, 'restartPolicy': 'OnFailure', 'template': {'spec': pod}}


def tony(job: argparse.Namespace) -> str:
    """A job file of TonY with its Horovod runtime, which starts the rendezvous and each worker with its rank."""
    words = [f'{job.workdir if job.image else ROOT}/scripts/run_local.sh', *job.words, '--enbl_multi_gpu']
    properties = {
        'tony.application.name': job.job_name,
        'tony.application.framework': 'horovod',
        'tony.application.timeout': job.hours * 3600 * 1000,
        'tony.application.fail-on-worker-failure-enabled': 'true',
        'tony.am.retry-count': 10,
        'tony.worker.instances': job.num_workers,
        'tony.worker.vcores': job.cpus,
        'tony.worker.memory': f'{job.memory}g',
        'tony.worker.gpus': job.gpus,
        'tony.worker.command': hadoop_words(['cd', job.workdir if job.image else str(Path.cwd())])
        + ' && '
        + hadoop_words(words),
    }
    if job.queue:
        properties['tony.yarn.queue'] = job.queue
    if job.image:
        properties.update({'tony.docker.enabled': 'true', 'tony.docker.containers.image': job.image})
    root = ET.Element('configuration')
    for name, value in properties.items():
        entry = ET.SubElement(root, 'property')
        ET.SubElement(entry, 'name').text = name
        ET.SubElement(entry, 'value').text = str(value)
    ET.indent(root)
    return '<?xml version="1.0"?>\n' + ET.tostring(root, encoding='unicode') + '\n'


def hadoop_words(words: Sequence[str]) -> str:
    """Quotes words for a shell in a Hadoop configuration, which expands ${NAME}: `${` is split by quotes."""
    return shlex.join(words).replace('${', "$''{")


KINDS: dict[str, Callable[[argparse.Namespace], str]] = {'slurm': slurm, 'mpijob': mpijob, 'tony': tony}

# Commands that submit the job files; for Slurm run_slurm.sh does it.
SUBMIT = {
    'mpijob': 'kubectl apply -f FILE',
    'tony': 'java -cp "$(hadoop classpath):TONY_CLI.jar" com.linkedin.tony.cli.ClusterSubmitter --conf_file=FILE',
}


def main(argv: Sequence[str]) -> int:
    job = parse(argv)
    print(KINDS[job.kind](job), end='')
    if job.kind in SUBMIT:
        print(f'Submit it with: {SUBMIT[job.kind]}', file=sys.stderr)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
