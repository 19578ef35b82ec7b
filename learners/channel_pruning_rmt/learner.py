"""`chn-pruned-rmt`: channel selection by LASSO, least-squares re-fit of the weights, removal of unused channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import Compressed
from pocketflow.learners.channel_pruning.candidates import ChannelCandidates
from pocketflow.learners.channel_pruning.forecast import expected_channels, selection_flops
from pocketflow.learners.channel_pruning.memory import Demand, require_memory
from pocketflow.learners.channel_pruning.prunable import DENSE, FIRST, LAST, reasons_not_to_prune
from pocketflow.learners.channel_pruning.pruning import Pruned, prune_channels
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning_rmt.options import ChannelPruningOptions
from pocketflow.learners.forecast import Effort, Speed, layers_with_kernels
from pocketflow.learners.layer_name_filter import refuse_unmatched_words, skipped_by_name
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.search import SearchingLearner
from pocketflow.utils.channels import ReaderChannels, channel_counts, reader_channels, remove_channels
from pocketflow.utils.compression_plan import CompressionPlan, load_plan
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.layer_table import layer_rows
from pocketflow.utils.runs.machine import float64_flops_per_second
from pocketflow.utils.system.progress import Progress

NOTHING_SAVED = (
    'channel pruning saves nothing here: the network keeps all its multiply-adds, because each layer '
    'that was to lose channels shares them with layers that need them; see the notes of the layer table'
)

NUM_SEARCH_IMAGES = 500
"""Training images for re-fitting the weights of each candidate of a search."""

PRUNED = (keras.layers.Conv2D, keras.layers.Dense)
NUM_SHOWN = 3
"""Number of layers that are named in an error message."""
SKIP_FLAG = 'cpr_skip_op_names'
REMEDIES = (
    (FIRST, 'cpr_skip_frst_layer', '--nocpr_skip_frst_layer'),
    (LAST, 'cpr_skip_last_layer', '--nocpr_skip_last_layer'),
    ('cpr_dense_layers', 'cpr_dense_layers', '--cpr_dense_layers=all'),
    (SKIP_FLAG, SKIP_FLAG, f'other --{SKIP_FLAG}'),
)
"""(prefix of the reason for skipping a layer, the flag that causes it, the flag that reverts it)."""


def skip_reasons(
    model: keras.Model, readers: Mapping[str, ReaderChannels], options: ChannelPruningOptions
) -> dict[str, str]:
    """Skipped layer -> the reason; layers that are not named are pruned."""
    named = skipped_by_name(SKIP_FLAG, options.skip_names, readers)
    reasons = reasons_not_to_prune(model, readers, options.skip_first, options.skip_last, options.dense)
    reasons = {
        name: f'cpr_dense_layers={options.dense}' if reason == DENSE else reason for name, reason in reasons.items()
    }
    return {**reasons, **named}


def check_none_skipped(plan: CompressionPlan, skipped: Mapping[str, str]) -> None:
    """Raises a `UsageError` if a plan prunes a layer that is skipped by the options."""
    for name, reason in skipped.items():
        if len(plan.channels().get(name, ())) < plan.num_channels.get(name, 0):
            advice = next(
                (f'which {flag} skips; pass {remedy}' for start, flag, remedy in REMEDIES if reason.startswith(start)),
                f'which is not pruned ({reason}); take it out of the plan',
            )
            raise UsageError(f'--cpr_save_path_ws: the plan prunes {name}, {advice}')


def check_any_prunable(model: keras.Model, skipped: Mapping[str, str]) -> None:
    """Raises a `UsageError` with reasons and remedies if no layer of a model is to be pruned.

    Args:
      model: the model.
      skipped: result of `skip_reasons`.
    """
    readers = reader_channels(model)
    if readers.keys() - skipped.keys():
        return
    flags = {
        name: remedy
        for name, reason in skipped.items()
        for start, _, remedy in REMEDIES
        if reason.startswith(start) and readers[name].num_channels > 1
    }
    others = [
        layer
        for layer in model.layers
        if layer.name not in flags
        and any(weight.shape.rank > 1 for weight in layer.weights)
        and type(layer) not in PRUNED
    ]
    reasons = [f'{type(layer).__name__} ({layer.name}) is none of them' for layer in others[:NUM_SHOWN]]
    reasons += [f'{name} is skipped unless you pass {remedy}' for name, remedy in [*flags.items()][-NUM_SHOWN:]]
    raise UsageError(
        f'no layer is left to prune in model {model.name!r}: {ChannelPrunedRmtLearner.name} prunes Conv2D '
        f'and Dense layers with several input channels; {"; ".join(reasons) or "it has none"}'
    )


@LEARNERS.register('chn-pruned-rmt')
class ChannelPrunedRmtLearner(SearchingLearner):
    """LASSO channel selection, least-squares re-fit, real removal (He et al. 2017).

    For each layer, from the first to the last:
      1. sample the layer's inputs in the model pruned so far, and its outputs in the full model;
      2. choose the input channels whose contributions reconstruct these outputs (LASSO path, equation 2);
      3. re-fit the weights on the chosen channels by least squares (equation 3).
    Common sets of channels for the readers of one stream, and layers whose pruning would save nothing, are determined
    beforehand (`decisions`). Finally all unread channels are removed, with the weights that compute them.
    """

    options_class = ChannelPruningOptions

    def check_inputs(self) -> None:
        if self.options.warm_start:
            self._load_plan()

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        model = make_model()
        readers = reader_channels(model)
        refuse_unmatched_words(SKIP_FLAG, self.options.skip_names, readers)
        check_any_prunable(model, skip_reasons(model, readers, self.options))

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        self._check_memory(make_model())
        if self.options.searches:
            self._candidates(make_model(), num_images=1)
        if self.options.warm_start:
            self._given_plan(make_model(), skip_reasons(make_model(), reader_channels(make_model()), self.options))

    def _check_memory(self, model: keras.Model) -> None:
        demand = self._demand(model)
        if demand.shapes:
            require_memory(demand, self.num_images_read(), 'cpr_nb_smpls', SKIP_FLAG)

    def _demand(self, model: keras.Model) -> Demand:
        readers = reader_channels(model)
        layers = [name for name in readers if name not in skip_reasons(model, readers, self.options)]
        image = self.helper.training_images(1, self.context.seed)
        return Demand.of(model, layers, image, self.options.num_positions, self.options.criterion)

    def num_images_read(self) -> int:
        train, _ = self.helper.dataset.split_indices(enbl_trn_val_split=True)
        return min(self.options.num_images, len(train))

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        readers = reader_channels(model)
        reasons = {**dict.fromkeys(readers, ''), **skip_reasons(model, readers, self.options)}
        return {
            name: reasons.get(name, f'{type(model.get_layer(name)).__name__} is not selected, at most shrunk')
            for name in layers_with_kernels(model)
        }

    def predict(self, model: keras.Model) -> Compressed:
        """Counts channels without looking at images; the weights are not re-fitted."""
        readers = reader_channels(model)
        skipped = skip_reasons(model, readers, self.options)
        check_any_prunable(model, skipped)
        notes: Mapping[str, str] = {}
        kept = self.expected_values(model) if self.options.searches else self._given_plan(model, skipped)
        if kept is None:
            prunable = {name: reader for name, reader in readers.items() if name not in skipped}
            kept, notes = expected_channels(model, prunable, 1 - self.options.prune_ratio, self.context.seed)
        rows = layer_rows(
            model, pruned := remove_channels(model, kept), channel_counts(model, kept), {**skipped, **notes}
        )
        return Compressed(pruned, layers=tuple(rows))

    def prediction_method(self) -> str:
        if self.options.warm_start:
            return 'exact: the channels of the plan'
        if self.options.searches:
            return super().prediction_method()
        return 'numbers of channels by --cpr_prune_ratio, as if all channels were equally important'

    def compress_effort(self, model: keras.Model, speed: Speed) -> Effort:
        demand, num_images = self._demand(model), self.num_images_read()
        return Effort(_refit_seconds(demand, num_images, speed), demand.total(num_images))

    def apply_seconds(self, model: keras.Model, speed: Speed) -> float:
        return _refit_seconds(self._demand(model), min(self.num_images_read(), NUM_SEARCH_IMAGES), speed)

    def compress(self, model: keras.Model, found: Mapping[str, tuple[int, ...]] | None = None) -> Compressed:
        readers = reader_channels(model)
        skipped = skip_reasons(model, readers, self.options)
        check_any_prunable(model, skipped)
        planned = self._given_plan(model, skipped) if found is None else found
        result = self._pruned(model, [name for name in readers if name not in skipped], planned)
        if self.options.prune_ratio and result.plan.predicted['macs'] >= total_macs(model):
            logging.warning('%s', NOTHING_SAVED)
        counts = channel_counts(model, result.kept)
        rows = layer_rows(model, result.model, counts, {**skipped, **result.notes})
        return Compressed(result.model, result.plan, tuple(rows))

    def _given_plan(self, model: keras.Model, skipped: Mapping[str, str]) -> Mapping[str, tuple[int, ...]] | None:
        """Layer -> the kept channels of the plan in the options, if there is one."""
        if not self.options.warm_start:
            return None
        plan = self._load_plan()
        plan.check_model(model)
        check_none_skipped(plan, skipped)
        return plan.channels()

    def _load_plan(self) -> CompressionPlan:
        return load_plan(self.options.plan_path, self.name, 'channels', 'cpr_save_path_ws')

    def candidates(self, model: keras.Model) -> ChannelCandidates:
        return self._candidates(model, min(self.options.num_images, NUM_SEARCH_IMAGES))

    def _candidates(self, model: keras.Model, num_images: int) -> ChannelCandidates:
        options, readers = self.options, reader_channels(model)
        if self.context.search.max_bytes is not None:
            raise UsageError(
                f'--hpo_max_bytes={self.context.search.max_bytes}: the budget of {self.name} is in '
                'multiply-adds; give --cpr_preserve_ratio'
            )
        skipped = skip_reasons(model, readers, options)
        prunable = {name: reader for name, reader in readers.items() if name not in skipped}
        check_any_prunable(model, skipped)
        return ChannelCandidates(
            model,
            prunable,
            options.criterion,
            options.preserve_ratio,
            self._sampling(num_images),
            self.trainer_parts(model, None),
        )

    def _pruned(
        self, model: keras.Model, layers: Sequence[str], planned: Mapping[str, tuple[int, ...]] | None
    ) -> Pruned:
        """The smaller model, with the channels of a plan, or with newly chosen ones."""
        progress = Progress('selecting channels', len(layers), unit='layers')
        readers = reader_channels(model)

        def report(name: str, num_kept: int, error: float) -> None:
            progress.advance(1)
            progress.report({'kept': num_kept, 'of': readers[name].num_channels, 'relative_error': error}, name)

        options, sampling = self.options, self._sampling(self.options.num_images)
        result = prune_channels(
            model,
            sampling.images,
            options.prune_ratio,
            options.criterion,
            layers=layers,
            channels=planned and {name: planned[name] for name in layers if name in planned},
            num_positions=sampling.num_positions,
            ridge=sampling.ridge,
            seed=sampling.seed,
            report=report,
        )
        progress.close()
        return result

    def _sampling(self, num_images: int) -> Sampling:
        images = self.helper.training_images(num_images, self.context.seed)
        return Sampling(images, self.options.num_positions, self.options.ridge, self.context.seed)


def _refit_seconds(demand: Demand, num_images: int, speed: Speed) -> float:
    """Images run through the full and the pruned model; then the equations of each layer."""
    return 2 * num_images * speed.image + selection_flops(demand, num_images) / float64_flops_per_second()
