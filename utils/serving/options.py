"""Flags of `pocketflow serve`."""

from __future__ import annotations

import dataclasses

from pocketflow.utils.options import Options, option

KINDS = ('seldon1', 'seldon2', 'kserve')


@dataclasses.dataclass(frozen=True)
class InitOptions(Options):
    """`pocketflow serve init`: the folder that a server reads."""

    output: str | None = option('output', None, 'folder to write; default: serve in the run directory')
    file_format: str | None = option('format', None, 'the exported file, such as int8; default: that of the verdict')
    name: str | None = option('name', None, 'name of the model in requests; default: NETWORK-DATASET')
    version: str = option('model_version', '1', 'version of the model in requests')
    parallel_workers: int = option('parallel_workers', 1, 'processes with an interpreter each', low=0, high=256)
    num_threads: int = option('num_threads', 1, 'threads of one interpreter', low=1, high=256)
    max_batch_size: int = option('max_batch_size', 32, 'samples that are run together', low=1, high=65536)
    max_batch_time: float = option(
        'max_batch_time', 0.0, 'seconds to wait for further requests while a batch is not full', low=0, high=10
    )
    max_request_samples: int = option('max_request_samples', 256, 'samples of one request', low=1, high=65536)
    max_message_mb: int = option('max_message_mb', 16, 'megabytes of one message of gRPC', low=1, high=2047)


@dataclasses.dataclass(frozen=True)
class ReplayOptions(Options):
    """`pocketflow serve test`: requests to a server that it starts."""

    num_samples: int = option('num_samples', 200, 'evaluation samples, one per request', low=1)
    concurrency: int = option('concurrency', 4, 'clients at the same time, for requests per second', low=1, high=256)
    mlserver: str | None = option(
        'mlserver', None, 'executable of MLServer; default: POCKETFLOW_MLSERVER, else that of this environment'
    )
    time_limit: float = option('time_limit', 60.0, 'seconds for the server to become ready', above=0)
    run_dir: str | None = option('run_dir', None, 'run whose evaluation samples are sent, if only a folder is given')
    model_helper: str | None = option('model_helper', None, 'as in the command of the run, if it had this flag')


@dataclasses.dataclass(frozen=True)
class ManifestOptions(Options):
    """`pocketflow serve manifests`: resources for Kubernetes."""

    kind: str = option('kind', 'seldon2', 'platform', choices=KINDS)
    image: str | None = option('image', None, 'image that was built from the folder; default: NAME:VERSION')
    storage_uri: str | None = option('storage_uri', None, 'where the folder was uploaded to; seldon2 needs it')
    memory: str = option('memory', '512Mi', 'memory that the container asks for')
    replicas: int = option('replicas', 1, 'number of servers', low=1, high=1000)
