"""`chn-pruned-gpu`: channel selection by group-sparse regression, re-fit of the weights, removal of unused channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tf_keras as keras

from pocketflow.learners.channel_pruning.learner import ChannelPruningLearner
from pocketflow.learners.channel_pruning.list_file import by_layer, read_list
from pocketflow.learners.channel_pruning.prunable import ONE, reasons_not_to_prune
from pocketflow.learners.channel_pruning_gpu.options import GroupSparseOptions
from pocketflow.learners.options import LEARNERS
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.errors import UsageError

RATIO_FLAG = 'cpg_prune_ratio_file'
WHAT = 'shares of input channels to remove, at least 0 and below 1'


@LEARNERS.register('chn-pruned-gpu')
class ChannelPrunedGpuLearner(ChannelPruningLearner):
    """Channel selection by group-sparse regression of each layer, least-squares re-fit, real removal.

    For each layer, from the first to the last:
      1. sample the layer's inputs in the model pruned so far, and its outputs in the full model;
      2. fit its weights with a penalty on the norm of each input channel's weights, by proximal gradient steps; the
         strength of the penalty grows until few enough channels are left;
      3. re-fit the weights on these channels by least squares, without the penalty.
    Finally all unread channels are removed, and the network is fine-tuned as a whole.
    """

    options: GroupSparseOptions
    options_class = GroupSparseOptions

    def check_inputs(self) -> None:
        if self.options.is_listed:
            self._read_ratios()

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        if self.options.is_listed:
            self._ratios(make_model())
        super().check_layers(make_model)

    def skip_reasons(self, model: keras.Model) -> dict[str, str]:
        reasons = super().skip_reasons(model)
        if self.options.is_listed:
            zeros = [name for name, ratio in self._ratios(model).items() if ratio == 0]
            return {**dict.fromkeys(zeros, f'{RATIO_FLAG}: ratio 0'), **reasons}
        return reasons

    def shares(self, model: keras.Model, layers: Sequence[str]) -> dict[str, float]:
        if not self.options.is_listed:
            return dict.fromkeys(layers, 1 - self.options.prune_ratio)
        ratios = self._ratios(model)
        return {name: 1 - ratios[name] for name in layers}

    def shares_method(self) -> str:
        flag = RATIO_FLAG if self.options.is_listed else 'cpg_prune_ratio'
        return f'numbers of channels by --{flag}, as if all channels were equally important'

    def _ratios(self, model: keras.Model) -> dict[str, float]:
        """Layer that can be pruned -> its ratio in the file."""
        readers = reader_channels(model)
        others = reasons_not_to_prune(model, readers, skip_first=False, dense=self.options.dense)
        layers = [name for name in readers if others.get(name, ONE) == ONE]
        return by_layer(self._read_ratios(), layers, self._ratio_path, RATIO_FLAG, 'layers')

    def _read_ratios(self) -> tuple[float, ...]:
        ratios = read_list(self._ratio_path, RATIO_FLAG, WHAT, lambda ratio: 0 <= ratio < 1)
        if not any(ratios):
            raise UsageError(f'--{RATIO_FLAG}={self._ratio_path}: all ratios are 0, so that nothing would be removed')
        return ratios

    @property
    def _ratio_path(self) -> str:
        path = self.options.ratio_file
        assert path is not None, 'the options require it for a list'
        return path
