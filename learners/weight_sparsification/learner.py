"""`weight-sparse`: gradual magnitude pruning of single weights in training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import Compressed
from pocketflow.learners.forecast import layers_with_kernels
from pocketflow.learners.layer_name_filter import refuse_unmatched_words
from pocketflow.learners.model_files import Finished
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.search import SearchingLearner
from pocketflow.learners.weight_sparsification.candidates import SparsityCandidates
from pocketflow.learners.weight_sparsification.masks import GradualPruning, num_zeros_now
from pocketflow.learners.weight_sparsification.options import WeightSparseOptions
from pocketflow.learners.weight_sparsification.schedule import PruningSchedule
from pocketflow.learners.weight_sparsification.selection import SKIP_FLAG, kernels_of, prunable_layers, skip_reasons
from pocketflow.learners.weight_sparsification.sparsifying import sparsity_plan, spread, zero_smallest, zeros_by_layer
from pocketflow.utils.compression_plan import CompressionPlan, load_plan
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import copied
from pocketflow.utils.quantization.encoding import kernels as all_kernels
from pocketflow.utils.reports.layer_rows import layer_rows
from pocketflow.utils.training.trainer import TrainerParts


@LEARNERS.register('weight-sparse')
class WeightSparseLearner(SearchingLearner):
    """Gradual magnitude pruning (Zhu and Gupta 2017, https://arxiv.org/abs/1710.01878) of a trained model.

    During fine-tuning, the share of zeros is increased by equation 1 up to each layer's planned ratio. Pruned weights
    keep their last value as a backup, and are restored if they are no longer among the smallest.
    """

    options_class = WeightSparseOptions
    export_formats = ('pfz', 'float32', 'int8')
    reference_format = 'float32'
    keeps_shapes = True

    def check_inputs(self) -> None:
        if self.options.plan_path is not None:
            load_sparsity_plan(self.options.plan_path)

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        model, words = make_model(), self.options.skip_names
        refuse_unmatched_words(SKIP_FLAG, words, prunable_layers(model, {}))
        skipped = skip_reasons(model, words)
        sizes = self._sizes(model, skipped)
        if self.options.plan_path is not None:
            self._ratios(model, sizes, skipped)

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        super().check_model(make_model)
        if not self.options.searches and self.options.plan_path is None:
            skipped = skip_reasons(make_model(), self.options.skip_names)
            self._ratios(make_model(), self._sizes(make_model(), skipped), skipped)

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        reasons = skip_reasons(model, self.options.skip_names)
        return {name: reasons.get(name, '') for name in layers_with_kernels(model)}

    def candidates(self, model: keras.Model) -> SparsityCandidates:
        has_budget, max_bytes = self.options.reward_type == 'single-obj', self.context.search.max_bytes
        if max_bytes is not None and not has_budget:
            raise UsageError(
                f'--hpo_max_bytes={max_bytes}: --ws_reward_type={self.options.reward_type} has no budget; '
                'give --ws_reward_type=single-obj, or drop the bytes'
            )
        kernels = self._prunable(model, skip_reasons(model, self.options.skip_names))
        return SparsityCandidates(
            model, kernels, self.options.prune_ratio, has_budget, max_bytes, super().trainer_parts(model, None)
        )

    def _prunable(self, model: keras.Model, skipped: dict[str, str]) -> dict[str, list[tf.Variable]]:
        """Pruned layer -> its kernels."""
        kernels = prunable_layers(model, skipped)
        if not kernels:
            raise UsageError(
                'no layer is left to prune: every one is skipped; check --ws_skip_names='
                f'{self.options.skip_names or ""}'
            )
        return kernels

    def _sizes(self, model: keras.Model, skipped: dict[str, str]) -> dict[str, list[int]]:
        """Pruned layer -> the numbers of weights of its kernels."""
        return {
            name: [int(tf.size(kernel)) for kernel in kernels]
            for name, kernels in self._prunable(model, skipped).items()
        }

    def compress(self, model: keras.Model, found: Mapping[str, float] | None = None) -> Compressed:
        skipped = skip_reasons(model, self.options.skip_names)
        sizes = self._sizes(model, skipped)
        ratios = self._ratios(model, sizes, skipped) if found is None else found
        skipped |= {name: 'it is not in ws_prune_plan' for name in sizes if name not in ratios}
        plan, copy = sparsity_plan(model, ratios, sum(map(sum, sizes.values()))), copied(model)
        return Compressed(copy, plan, tuple(sparsity_rows(model, copy, zeros_by_layer(model, ratios), skipped)))

    def trainer_parts(self, model: keras.Model, plan: CompressionPlan) -> TrainerParts:
        options, (_, num_steps) = self.options, self.schedule()
        schedule = PruningSchedule.over(num_steps, options.begin, options.end, options.update_step, options.exponent)
        logging.info(
            '%s: prunes from step %d to %d, every %d steps', self.name, schedule.first, schedule.last, schedule.interval
        )
        kernels, ratios = zip(*planned_kernels(model, plan), strict=True)
        pruning = GradualPruning(kernels, ratios, schedule)
        return dataclasses.replace(
            super().trainer_parts(model, plan),
            constraint=pruning.constrain,
            state=pruning.state,
            metrics=lambda: {'sparsity': pruning.sparsity.value()},
        )

    def finish(self, model: keras.Model, plan: CompressionPlan) -> Finished:
        """Applies the planned sparsity, also if no step was trained."""
        zero_smallest(model, plan.shares())
        return Finished(model)

    def _ratios(
        self, model: keras.Model, sizes: Mapping[str, Sequence[int]], skipped: Mapping[str, str]
    ) -> Mapping[str, float]:
        options = self.options
        if options.plan_path is not None:
            plan = load_sparsity_plan(options.plan_path)
            plan.check_model(model)
            check_prunable(plan, sizes, skipped)
            return plan.shares()
        try:
            return spread(sizes, options.prune_ratio, options.protocol)
        except UsageError as error:
            raise UsageError(f'--ws_prune_ratio={options.prune_ratio}: {error}') from None


def load_sparsity_plan(path: str) -> CompressionPlan:
    """Loads the plan in a file, or of the last weight-sparse stage in a run directory.

    Raises:
      UsageError: it does not exist, is of another kind, or names no layer.
    """
    plan = load_plan(path, WeightSparseLearner.name, 'sparsity', 'ws_prune_plan')
    if not plan.values:
        raise UsageError(f'--ws_prune_plan={path}: names no layer; give at least one with its share of zeros')
    return plan


def planned_kernels(model: keras.Model, plan: CompressionPlan) -> list[tuple[tf.Variable, float]]:
    """Each kernel that a plan prunes, with its share of zeros."""
    return [(kernel, ratio) for name, ratio in plan.shares().items() for kernel in kernels_of(model.get_layer(name))]


def check_prunable(plan: CompressionPlan, sizes: Mapping[str, Sequence[int]], skipped: Mapping[str, str]) -> None:
    """Raises a `UsageError` if a plan names a layer that is not pruned."""
    for name in plan.values:
        if name not in sizes:
            reason = skipped.get(name, 'it has no kernel')
            raise UsageError(f'--ws_prune_plan: names {name}, which is not pruned ({reason}); take it out of the plan')


def sparsity_rows(
    before: keras.Model, after: keras.Model, zeros: Mapping[str, int], skipped: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The report's rows, with `sparsity`: the share of zeros in a layer's kernels, [before, as planned].

    Includes layers that are not pruned, so that the total is that of the network; `kernel_weights` is the number of
    weights of a layer's kernels.

    Args:
      before, after: the model and its copy.
      zeros: layer -> planned number of zeros; other layers keep their zeros.
      skipped: layer that is not pruned -> the reason.
    """
    rows, layers = layer_rows(before, after, {}, skipped), {layer.name: layer for layer in before.layers}
    for row in rows:
        kernels = all_kernels(layers[row['layer']]) if row['layer'] in layers else []
        if kernels:
            size, present = sum(int(tf.size(kernel)) for kernel in kernels), sum(map(num_zeros_now, kernels))
            row.update(sparsity=[present / size, zeros.get(row['layer'], present) / size], kernel_weights=size)
    return rows
