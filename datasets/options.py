"""Options of all data sets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pocketflow.datasets.sources.storage import is_address
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option


@dataclasses.dataclass(frozen=True)
class DatasetOptions(Options):
    """Location of the data, and how they are split into batches."""

    superseded = {
        'buffer_size': 'the whole training set is shuffled',
        'cycle_length': 'the data set is held in memory',
        'nb_classes': 'the data set defines it',
    }

    data_disk: str = option('data_disk', 'local', 'kind of storage', choices=('local', 'hdfs'), decides=False)
    data_dir_local: str | None = option(
        'data_dir_local', None, 'folder of the data files on a disk, or its address, as gs://bucket/x', decides=False
    )
    data_dir_hdfs: str | None = option(
        'data_dir_hdfs', None, 'folder of the data files on HDFS', decides=False, needs='data_disk=hdfs'
    )
    data_hdfs_host: str | None = option(
        'data_hdfs_host', None, 'HDFS host, as in hdfs://host:port', decides=False, needs='data_disk=hdfs'
    )
    num_train: int = option('nb_smpls_train', 1, 'number of training samples to use, validation included', low=1)
    num_val: int = option('nb_smpls_val', 1, 'number of training samples held out for validation', low=1)
    hold_out: bool = option(
        'enbl_trn_val_split',
        False,
        'train without the nb_smpls_val validation samples; always on in searches, which evaluate candidates on them',
    )
    num_eval: int = option('nb_smpls_eval', 1, 'number of evaluation samples to use', low=1)
    crop_padding: int = option('crop_padding', 4, 'training images are shifted by up to this many pixels', low=0)
    batch_size: int = option('batch_size', 128, 'training samples per step and worker', low=1)
    batch_size_eval: int = option('batch_size_eval', 100, 'evaluation samples per step', low=1, decides=False)
    num_threads: int = option('nb_threads', 8, 'threads for decoding and augmentation', low=1, decides=False)
    prefetch: int = option('prefetch_size', 8, 'batches prepared ahead', low=1, decides=False)

    def check(self) -> None:
        if None not in (self.num_train, self.num_val) and self.num_val >= self.num_train:
            raise UsageError(
                f'--nb_smpls_val={self.num_val}: must be less than --nb_smpls_train={self.num_train}, '
                'which includes the validation samples'
            )
        if self.data_disk == 'hdfs' and not (self.data_dir_hdfs and self.data_hdfs_host):
            raise UsageError('--data_disk=hdfs: also give --data_hdfs_host=hdfs://HOST:PORT and --data_dir_hdfs=DIR')
        if self.data_hdfs_host and not is_address(self.data_hdfs_host):
            raise UsageError(f'--data_hdfs_host={self.data_hdfs_host}: must be an address, as hdfs://HOST:PORT')

    @property
    def has_labels(self) -> bool:
        """Whether the labels of the samples are read."""
        return True

    @property
    def data_dir(self) -> str | None:
        """The data folder given by the user, local or `hdfs://...`; None if not given."""
        if self.data_disk == 'hdfs' and self.data_hdfs_host and self.data_dir_hdfs:
            return f'{self.data_hdfs_host.rstrip("/")}/{self.data_dir_hdfs.lstrip("/")}'
        return self.data_dir_local

    def without_decoding(self) -> DatasetOptions:
        """Options with which the samples are counted, but their content is not checked."""
        return self

    def refuse_missing(self) -> None:
        """Raises a `UsageError` if the folder of the data files, or what must be in it, is not there.

        Called before TensorFlow is loaded. An address is left to `sources.storage.refuse_unreadable_address`.
        """
        folder = self.data_dir
        if folder is not None and not is_address(folder) and not Path(folder).exists():
            raise UsageError(f'--data_dir_local={folder}: there is no such folder; give the folder of the data files')

    @property
    def num_trained(self) -> int:
        """Number of training samples per epoch, without the held-out ones."""
        return self.num_train - self.num_val * self.hold_out

    def check_batch_size(self, batch_size: int, flag: str = 'batch_size', num_workers: int = 1) -> None:
        """Raises a `UsageError` if one step of all workers needs more samples than there are.

        Args:
          batch_size: samples per step and worker.
          flag: the flag that set it, for the message.
          num_workers: number of workers.
        """
        if self.num_train is None or (self.hold_out and self.num_val is None):
            return  # nobody knows before the files have been listed
        per_worker = self.num_trained // num_workers
        if batch_size > per_worker:
            raise UsageError(
                f'--{flag}={batch_size}: must be at most {per_worker}, so that a step needs no more than the '
                f'{self.num_trained} available training samples'
            )
