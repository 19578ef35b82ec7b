"""What is refused of the options of image folders."""

from __future__ import annotations

import pytest

from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.utils.errors import UsageError


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'image_size': '32,x'}, '--image_size=32,x: must be height and width in pixels, as 224,224'),
        ({'image_size': '0'}, '--image_size=0: must be'),
        ({'mean': '1,b'}, '--image_mean=1,b: must be one number, or one per channel'),
        ({'std': '1,0'}, '--image_std=1,0: must be above 0'),
        ({'scale': 'torch', 'std': '2'}, '--image_scale=torch has means of its own'),
        ({'data_disk': 'hdfs'}, '--data_disk=hdfs: also give --data_hdfs_host'),
        ({'skip_bad': True, 'check_images': False}, 'broken images are found by --enbl_check_images'),
        ({'num_train': 5, 'num_val': 5}, '--nb_smpls_val=5: must be less than --nb_smpls_train=5'),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        FolderOptions(**options)


@pytest.mark.parametrize(
    'options',
    [
        {'data_dir_local': 'gs://bucket/photos'},
        {'data_disk': 'hdfs', 'data_hdfs_host': 'hdfs://name:9', 'data_dir_hdfs': '/photos'},
    ],
)
def test_addresses_are_read_later(options):
    FolderOptions(**options).refuse_missing()
