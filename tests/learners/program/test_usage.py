"""The help texts name all that there is."""

from __future__ import annotations

from pocketflow.learners import LEARNERS
from pocketflow.nets import PAIRS
from pocketflow.nets.options import GIVEN
from pocketflow.utils.options import option_fields
from tests.conftest import command, run_main


def test_help_lists_what_there_is():
    outcome = run_main('--help')
    assert outcome.code == 0 and 'This is the only file' not in outcome.out
    for model, dataset in (name.split('_at_') for name in PAIRS):
        named = '--save_path=MODEL.keras' if model == GIVEN else f'--model={model}'
        assert f'{named} --dataset={dataset}' in outcome.out
    for name in LEARNERS:
        assert f'  {name} ' in outcome.out and LEARNERS.declaration(name).summary in outcome.out
    assert '--run_dir' in outcome.out and '--helpfull' in outcome.out and '--momentum' not in outcome.out


KNOWN_FLAGS = (  # of the original, as far as there is something for them to set
    """
    debug exec_mode learner enbl_dst enbl_warm_start save_path save_step summ_step loss_w_dst save_path_dst tempr_dst
    cpr_nb_crops_per_smpl cpr_nb_smpls cpr_prune_ratio cpr_save_path_ws cpr_skip_frst_layer cpr_skip_last_layer
    cpr_skip_op_names cpr_warm_start batch_size batch_size_eval data_dir_hdfs data_dir_local data_disk data_hdfs_host
    nb_smpls_eval nb_smpls_train nb_smpls_val nb_threads prefetch_size batch_size_norm loss_w_dcy lrn_rate_init
    momentum nb_epochs_rat resnet_size"""
)


def test_all_flags_are_explained():
    outcome = run_main('--helpfull', '--model=resnet', '--dataset=cifar10')
    assert outcome.code == 0
    shown = {
        line.split(':')[0].strip().removeprefix('--').removeprefix('[no]')
        for line in outcome.out.splitlines()
        if line.startswith('  --') and ':' in line
    }
    assert shown >= set(KNOWN_FLAGS.split())
    for options_class in command('--model=resnet', '--dataset=cifar10').options_classes():
        assert shown >= {field.metadata['flag'] for field in option_fields(options_class)}
