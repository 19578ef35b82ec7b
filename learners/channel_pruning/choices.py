"""Choices of channel pruning that the command line needs without TensorFlow."""

from __future__ import annotations

import typing

from pocketflow.utils.registry import Registry

if typing.TYPE_CHECKING:
    from pocketflow.learners.channel_pruning.selectors.selector import Selector

SELECTORS: Registry[type[Selector], str] = Registry('selector', name_attribute='name')
"""How channels are chosen; each declaration is one line of help. A selector is one file in `selectors`."""
for _name, _help in {
    'lasso': 'contributions that reconstruct the output (He et al. 2017)',
    'obs': 'optimal brain surgeon: backward elimination with re-fitting',
    'l1': 'l1 norm of the weights',
    'dcp': 'discrimination-aware: growth by the gradient of reconstruction and loss (Zhuang et al. 2018)',
    'l2': 'l2 norm of the weights',
    'fpgm': 'distance of the filters from their geometric median (He et al. 2019)',
    'taylor': 'first-order change of the loss, needs labels (Molchanov et al. 2017)',
    'bn-scale': 'scales of batch norm (Liu et al. 2017)',
    'hrank': 'rank of the feature maps (Lin et al. 2020)',
    'activation': 'mean absolute activation',
    'group-sparse': 'group LASSO on all weights by proximal gradient',
    'random': 'at random, as a baseline',
}.items():
    SELECTORS.declare(_name, f'pocketflow.learners.channel_pruning.selectors.{_name.replace("-", "_")}', _help)

CURVE_METHODS = ('sensitive', 'program')
"""How a budget is distributed by sensitivity curves."""

BUDGETS = ('macs', 'parameters', 'bytes')
"""What a budget may be of."""

BATCH_NORMS = ('kept', 'shifted', 'exact')
"""Statistics of batch norms after a pruning; see `options.ChannelPrunerOptions`."""

DENSE_LAYERS = ('none', 'hidden', 'all')
"""Which dense layers are pruned; 'hidden': all except those that make an output."""
