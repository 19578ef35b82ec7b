"""What is refused of the options of all data sets."""

from __future__ import annotations

import pytest

from pocketflow.datasets.abstract_dataset import DatasetOptions
from pocketflow.utils.errors import UsageError


def test_options_that_contradict_each_other():
    with pytest.raises(UsageError, match='--nb_smpls_val=50: must be less than --nb_smpls_train=50'):
        DatasetOptions(num_train=50, num_val=50)
    with pytest.raises(UsageError, match='--data_disk=hdfs: also give --data_hdfs_host'):
        DatasetOptions(num_train=2, data_disk='hdfs')
    with pytest.raises(UsageError, match='--data_hdfs_host=name:9000: must be an address, as hdfs://HOST:PORT'):
        DatasetOptions(num_train=2, data_disk='hdfs', data_hdfs_host='name:9000', data_dir_hdfs='/data')
    hdfs = DatasetOptions(num_train=2, data_disk='hdfs', data_hdfs_host='hdfs://name:9000/', data_dir_hdfs='/data')
    assert hdfs.data_dir == 'hdfs://name:9000/data'
