"""Options of the DDPG agent."""

from __future__ import annotations

import dataclasses

from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option


@dataclasses.dataclass(frozen=True)
class DdpgOptions(Options):
    """Networks, training and exploration of the agent; standard deviations are in units of the action."""

    needs = 'hp_optimizer=ddpg'

    actor_depth: int = option('ddpg_actor_depth', 2, 'hidden layers of the actor', low=1)
    actor_width: int = option('ddpg_actor_width', 64, 'units of each hidden layer of the actor', low=1)
    critic_depth: int = option(
        'ddpg_critic_depth', 2, 'hidden layers of the critic after the first one, which reads only the state', low=1
    )
    critic_width: int = option('ddpg_critic_width', 64, 'units of each hidden layer of the critic', low=1)
    tau: float = option('ddpg_tau', 0.01, 'update rate of the target networks per step', above=0, high=1)
    gamma: float = option('ddpg_gamma', 0.9, 'discount of later rewards', low=0, high=1)
    learning_rate: float = option('ddpg_lrn_rate', 1e-3, 'learning rate of Adam, for actor and critic', above=0)
    weight_decay: float = option('ddpg_loss_w_dcy', 0.0, 'weight decay in both losses', low=0)
    record_step: int = option(
        'ddpg_record_step', 1, 'store every k-th of the transitions that are recorded together', low=1
    )
    batch_size: int = option('ddpg_batch_size', 64, 'transitions in a training step', low=1)
    enable_baseline: bool = option('ddpg_enbl_bsln_func', True, 'subtract a moving average of the rewards of roll-outs')
    baseline_decay: float = option(
        'ddpg_bsln_decy_rate', 0.95, 'decay of that moving average', low=0, high=1, needs='ddpg_enbl_bsln_func'
    )
    noise_type: str = option(
        'ddpg_noise_type',
        'param',
        'exploration noise on the actions, or on the parameters of the actor',
        choices=('action', 'param'),
    )
    noise_protocol: str = option(
        'ddpg_noise_prtl',
        'tdecy',
        'schedule of the noise; tdecy: decays with each roll-out; '
        'adapt: keeps the mean change of the actions at a given distance (param only)',
        choices=('adapt', 'tdecy'),
    )
    noise_std_init: float = option('ddpg_noise_std_init', 1.0, 'initial standard deviation of the noise', above=0)
    noise_distance: float = option(
        'ddpg_noise_dst_finl',
        1e-2,
        'adapt: target of the mean change of the actions',
        above=0,
        needs='ddpg_noise_prtl=adapt',
    )
    noise_adapt_rate: float = option(
        'ddpg_noise_adpt_rat', 1.03, 'adapt: factor of one correction', above=1, needs='ddpg_noise_prtl=adapt'
    )
    noise_std_final: float = option(
        'ddpg_noise_std_finl',
        1e-5,
        'tdecy: standard deviation in the last roll-out',
        above=0,
        needs='ddpg_noise_prtl=tdecy',
    )
    enable_state_norm: bool = option(
        'ddpg_enbl_state_norm', False, 'normalise states to mean 0 and variance 1 over all recorded ones'
    )
    min_variance: float = option(
        'ddpg_rms_eps',
        1e-4,
        'lower bound of the variance in the normalisation of states',
        above=0,
        needs='ddpg_enbl_state_norm',
    )

    def check(self) -> None:
        if self.noise_protocol == 'adapt' and self.noise_type == 'action':
            raise UsageError(
                '--ddpg_noise_prtl=adapt measures the effect of parameter noise on the actions; give '
                '--ddpg_noise_type=param with it, or --ddpg_noise_prtl=tdecy'
            )
        if self.noise_protocol == 'tdecy' and self.noise_std_final > self.noise_std_init:
            raise UsageError(
                f'--ddpg_noise_std_finl={self.noise_std_final}: noise that decays cannot end above '
                f'--ddpg_noise_std_init={self.noise_std_init}'
            )
