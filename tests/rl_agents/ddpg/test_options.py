"""The agent's flags: names, defaults and what is refused."""

from __future__ import annotations

import pytest
from absl import flags

from pocketflow.rl_agents.ddpg import DdpgOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import define_flags, from_flags, option_fields

DEFAULTS = {
    'ddpg_actor_depth': 2,
    'ddpg_actor_width': 64,
    'ddpg_critic_depth': 2,
    'ddpg_critic_width': 64,
    'ddpg_tau': 0.01,
    'ddpg_gamma': 0.9,
    'ddpg_lrn_rate': 1e-3,
    'ddpg_loss_w_dcy': 0.0,
    'ddpg_record_step': 1,
    'ddpg_batch_size': 64,
    'ddpg_enbl_bsln_func': True,
    'ddpg_bsln_decy_rate': 0.95,
    'ddpg_noise_type': 'param',
    'ddpg_noise_prtl': 'tdecy',
    'ddpg_noise_std_init': 1.0,
    'ddpg_noise_dst_finl': 1e-2,
    'ddpg_noise_adpt_rat': 1.03,
    'ddpg_noise_std_finl': 1e-5,
    'ddpg_rms_eps': 1e-4,
    'ddpg_enbl_state_norm': False,
}


def test_flags_keep_their_names_and_defaults():
    assert {field.metadata['flag']: field.default for field in option_fields(DdpgOptions)} == DEFAULTS


def test_options_come_from_the_command_line():
    values = flags.FlagValues()
    define_flags(DdpgOptions, values)
    values(['main.py', '--ddpg_tau=0.5', '--noddpg_enbl_bsln_func', '--ddpg_noise_prtl=adapt'])
    expected = DdpgOptions(tau=0.5, enable_baseline=False, noise_protocol='adapt')
    assert from_flags(DdpgOptions, values) == expected


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'noise_protocol': 'adapt', 'noise_type': 'action'}, '--ddpg_noise_prtl=adapt .* --ddpg_noise_type=param'),
        ({'noise_std_init': 1e-6}, '--ddpg_noise_std_finl=1e-05: .* cannot end above --ddpg_noise_std_init=1e-06'),
        ({'noise_type': 'none'}, '--ddpg_noise_type=none: must be one of action, param'),
        ({'noise_protocol': 'linear'}, '--ddpg_noise_prtl=linear: must be one of adapt, tdecy'),
        ({'actor_depth': 0}, '--ddpg_actor_depth=0: must be a number >= 1'),
        ({'tau': 0.0}, '--ddpg_tau=0.0: must be a number > 0 and <= 1'),
        ({'gamma': 1.5}, '--ddpg_gamma=1.5'),
        ({'noise_adapt_rate': 1.0}, '--ddpg_noise_adpt_rat=1.0: must be a number > 1'),
        ({'record_step': 0}, '--ddpg_record_step=0'),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(changes: dict, message: str):
    with pytest.raises(UsageError, match=message) as caught:
        DdpgOptions(**changes)
    assert '\n' not in str(caught.value)


def test_noise_that_adapts_has_no_final_value():
    assert DdpgOptions(noise_protocol='adapt', noise_std_init=1e-6).noise_std_init == 1e-6
