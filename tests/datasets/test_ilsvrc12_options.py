from __future__ import annotations

import pytest

from pocketflow.datasets.ilsvrc12_options import Ilsvrc12Options
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option_fields
from tests.conftest import command


def test_flags_of_other_layouts_are_none_of_this_one():
    flags = {field.metadata['flag'] for field in option_fields(Ilsvrc12Options)}
    assert {'nb_classes', 'image_size', 'augment', 'ilsvrc12_preprocessing', 'tfrecord_index_dir'} <= flags
    assert not flags & {'tfrecord_train', 'tfrecord_first_class', 'image_fit', 'crop_padding', 'image_cache_mib'}


@pytest.mark.parametrize('wrong', [{'num_outputs': 999}, {'first_label': 2}, {'preprocessing': 'vgg'}])
def test_values_out_of_range(wrong):
    with pytest.raises(UsageError, match='must be'):
        Ilsvrc12Options(**wrong)


def test_searches_hold_out_ten_thousand_images_or_a_tenth():
    assert Ilsvrc12Options().counted(1281167, 50000).num_val == 10000
    assert Ilsvrc12Options().counted(5000, 50).num_val == 500
    assert Ilsvrc12Options(num_val=7).counted(5000, 50).num_val == 7


def test_missing_files_are_found_before_tensorflow_is_loaded(tmp_path):
    with pytest.raises(
        UsageError, match=r'^--data_dir_local is missing; name the folder of the TFRecord files: train-0'
    ):
        Ilsvrc12Options().refuse_missing()
    with pytest.raises(UsageError, match='there is no such folder'):
        Ilsvrc12Options(data_dir_local=str(tmp_path / 'none')).refuse_missing()
    for name in ('train-00000-of-00002', 'train-00001-of-00002', 'validation-00001-of-00002'):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match='1 of 2 validation files are missing: validation-00000-of-00002'):
        Ilsvrc12Options(data_dir_local=str(tmp_path)).refuse_missing()


def test_command_lines_with_and_without_flags_of_other_data_sets():
    given = ('--dataset=ilsvrc12', '--save_path=m.keras', '--learner=full-prec', '--enbl_warm_start')
    options = command(*given, '--nb_classes=1000', '--image_size=96').data_options()
    assert (options.num_outputs, options.size) == (1000, (96, 96))
    with pytest.raises(UsageError, match='--crop_padding_ft=2 would have no effect: --dataset=ilsvrc12 does not shift'):
        command(*given, '--crop_padding_ft=2')
    with pytest.raises(UsageError, match='--crop_padding_ft=2: training images of ILSVRC-12 are random parts'):
        Ilsvrc12Options().replace(crop_padding=2)
