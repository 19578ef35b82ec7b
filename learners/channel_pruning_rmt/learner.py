"""`chn-pruned-rmt`: channel selection by LASSO, least-squares re-fit of the weights, removal of unused channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tf_keras as keras

from pocketflow.learners.channel_pruning.learner import ChannelPruningLearner
from pocketflow.learners.channel_pruning.skipping import check_none_skipped
from pocketflow.learners.channel_pruning_rmt.options import ChannelPruningOptions
from pocketflow.learners.options import LEARNERS
from pocketflow.utils.compression_plan import CompressionPlan, load_plan

PLAN_FLAG = 'cpr_save_path_ws'


@LEARNERS.register('chn-pruned-rmt')
class ChannelPrunedRmtLearner(ChannelPruningLearner):
    """LASSO channel selection, least-squares re-fit, real removal (He et al. 2017).

    For each layer, from the first to the last:
      1. sample the layer's inputs in the model pruned so far, and its outputs in the full model;
      2. choose the input channels whose contributions reconstruct these outputs (LASSO path, equation 2);
      3. re-fit the weights on the chosen channels by least squares (equation 3).
    Common sets of channels for the readers of one stream, and layers whose pruning would save nothing, are determined
    beforehand (`decisions`). Finally all unread channels are removed, with the weights that compute them.
    """

    options: ChannelPruningOptions
    options_class = ChannelPruningOptions

    def check_inputs(self) -> None:
        super().check_inputs()
        if self.options.warm_start:
            self._load_plan()

    def shares(self, model: keras.Model, layers: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(layers, 1 - self.options.prune_ratio)

    def shares_method(self) -> str:
        if self.options.warm_start:
            return 'exact: the channels of the plan'
        return 'numbers of channels by --cpr_prune_ratio, as if all channels were equally important'

    def planned(self, model: keras.Model, skipped: Mapping[str, str]) -> Mapping[str, tuple[int, ...]] | None:
        """Layer -> the kept channels of the plan in the options, if there is one."""
        if not self.options.warm_start:
            return None
        plan = self._load_plan()
        plan.check_model(model)
        check_none_skipped(plan, skipped, self.stage.flags, PLAN_FLAG)
        return plan.channels()

    def _load_plan(self) -> CompressionPlan:
        path = self.options.plan_path
        assert path is not None, 'the options require it for a warm start'
        return load_plan(path, self.name, 'channels', PLAN_FLAG)
