"""Base class of the channel pruners: selection, re-fit, removal of unread channels, search for the shares."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import Compressed
from pocketflow.learners.channel_pruning.candidates import ChannelCandidates
from pocketflow.learners.channel_pruning.choices import BATCH_NORMS, SELECTORS
from pocketflow.learners.channel_pruning.curves.stage import NUM_IMAGES as NUM_CURVE_IMAGES
from pocketflow.learners.channel_pruning.curves.stage import CurvesStage
from pocketflow.learners.channel_pruning.forecast import expected_channels, selection_flops
from pocketflow.learners.channel_pruning.from_scratch import with_new_weights
from pocketflow.learners.channel_pruning.memory import Demand, require_memory
from pocketflow.learners.channel_pruning.options import ChannelPrunerOptions, StageSettings
from pocketflow.learners.channel_pruning.pruning import Pruned, Report, prune_channels
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Supervision
from pocketflow.learners.channel_pruning.skipping import check_any_prunable, skip_reasons
from pocketflow.learners.forecast import Effort, Speed, layers_with_kernels
from pocketflow.learners.layer_name_filter import refuse_unmatched_words
from pocketflow.learners.search import SearchingLearner
from pocketflow.utils.channels import ReaderChannels, channel_counts, reader_channels, remove_channels
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.layer_rows import layer_rows
from pocketflow.utils.runs.machine import float64_flops_per_second
from pocketflow.utils.system.progress import Progress

NOTHING_SAVED = (
    'channel pruning saves nothing here: the network keeps all its multiply-adds, because each layer '
    'that was to lose channels shares them with layers that need them; see the notes of the layer table'
)

NUM_SEARCH_IMAGES = 500
"""Training images for re-fitting the weights of each candidate of a search."""


class ChannelPruningLearner(SearchingLearner):
    """Selects input channels layer by layer, re-fits the weights, and removes what is unread.

    Subclasses say which share of its channels each layer keeps (`shares`), or take the channels from elsewhere
    (`planned`); their options say which selector chooses the channels (`ChannelPrunerOptions.stage`).
    """

    options: ChannelPrunerOptions

    @property
    def stage(self) -> StageSettings:
        """The settings of the stage."""
        return self.options.stage

    @property
    def batch_norms(self) -> str:
        """Statistics of batch norms right after the pruning, one of `choices.BATCH_NORMS`."""
        return self.options.batch_norms or BATCH_NORMS[0]

    @abc.abstractmethod
    def shares(self, model: keras.Model, layers: Sequence[str]) -> dict[str, float]:
        """Layer -> the share of its input channels to keep, in (0, 1], without a search.

        Args:
          model: the trained model.
          layers: the layers that may be pruned, in the order of execution.
        """

    def planned(self, model: keras.Model, skipped: Mapping[str, str]) -> Mapping[str, tuple[int, ...]] | None:
        """Layer -> the channels that it keeps, if they are given; None if they are to be chosen.

        Args:
          model: the model.
          skipped: result of `skip_reasons`.
        """
        return None

    def skip_reasons(self, model: keras.Model) -> dict[str, str]:
        """Skipped layer -> the reason; layers that are not named are pruned."""
        return skip_reasons(model, reader_channels(model), self.stage)

    def shares_method(self) -> str:
        """How `shares` determines the numbers of channels, for `--exec_mode=check`."""
        return 'numbers of channels by the flags, as if all channels were equally important'

    def check_inputs(self) -> None:
        if self._curves is not None:
            self._curves.given()

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        model, stage = make_model(), self.stage
        readers = reader_channels(model)
        if stage.flags.skip_names:
            refuse_unmatched_words(stage.flags.skip_names, stage.skip_names, readers)
        self._skipped(model)

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        self._check_memory(make_model())
        if self.options.searches:
            self._candidates(make_model(), num_images=1)
        if self._curves is not None:
            self._curves.check(make_model(), self._prunable(make_model()))
        self.planned(make_model(), self.skip_reasons(make_model()))

    def num_images_read(self) -> int:
        """Number of training images for selection and re-fitting."""
        train, _ = self.helper.dataset.split_indices(enbl_trn_val_split=True)
        return min(self.stage.num_images, len(train))

    def explain_layers(self, model: keras.Model) -> dict[str, str]:
        readers = reader_channels(model)
        reasons = {**dict.fromkeys(readers, ''), **self.skip_reasons(model)}
        return {
            name: reasons.get(name, f'{type(model.get_layer(name)).__name__} is not selected, at most shrunk')
            for name in layers_with_kernels(model)
        }

    def predict(self, model: keras.Model) -> Compressed:
        """Counts channels without looking at images; the weights are not re-fitted."""
        readers, skipped = reader_channels(model), self._skipped(model)
        notes: Mapping[str, str] = {}
        prunable = {name: reader for name, reader in readers.items() if name not in skipped}
        kept: Mapping[str, Sequence[int]] | None
        if self.options.searches:
            kept = self.expected_values(model)
        elif self._curves is not None:
            kept = self._curves.expected(model, prunable)
        else:
            kept = self.planned(model, skipped)
        if kept is None:
            shares = self.shares(model, list(prunable))
            kept, notes = expected_channels(model, prunable, shares, self.context.seed)
        rows = layer_rows(
            model, pruned := remove_channels(model, kept), channel_counts(model, kept), {**skipped, **notes}
        )
        return Compressed(pruned, layers=tuple(rows))

    def prediction_method(self) -> str:
        if self._curves is not None:
            return self._curves.method()
        return super().prediction_method() if self.options.searches else self.shares_method()

    def compress_effort(self, model: keras.Model, speed: Speed) -> Effort:
        demand, num_images = self._demand(model), self.num_images_read()
        seconds = _refit_seconds(demand, num_images, speed)
        if self._curves is not None and self._curves.known(self._prunable(model)) is None:
            seconds += self._curves.seconds(model, self._prunable(model), demand, speed.image)
        return Effort(seconds, demand.total(num_images))

    def apply_seconds(self, model: keras.Model, speed: Speed) -> float:
        return _refit_seconds(self._demand(model), min(self.num_images_read(), NUM_SEARCH_IMAGES), speed)

    def search_values(self, model: keras.Model) -> dict[str, Any] | None:
        if self._curves is None:
            return super().search_values(model)
        curves = self._curves
        return self.context.workers.share(lambda: curves.channels(lambda: self._selection_context(model)))

    def curves_record(self) -> Mapping[str, Any] | None:
        return None if self._curves is None else self._curves.record()

    def compress(self, model: keras.Model, found: Mapping[str, tuple[int, ...]] | None = None) -> Compressed:
        readers, skipped = reader_channels(model), self._skipped(model)
        if found is None and self._curves is not None:  # a trial of a search over flags, in one worker
            chosen = self._curves.channels(lambda: self._selection_context(model))
            found = {name: tuple(channels) for name, channels in chosen.items()}
        planned = self.planned(model, skipped) if found is None else found
        layers = [name for name in readers if name not in skipped]
        shares = self.shares(model, layers) if planned is None else {}
        result = self.prune(model, layers, shares, planned)
        if result.plan.predicted['macs'] >= total_macs(model) and not all(share == 1 for share in shares.values()):
            logging.warning('%s', NOTHING_SAVED)
        return self.compressed(model, result, skipped)

    def compressed(self, model: keras.Model, result: Pruned, skipped: Mapping[str, str]) -> Compressed:
        """The result of `compress`.

        Args:
          model: the model that was pruned.
          result: the pruned model and its plan.
          skipped: result of `skip_reasons`.
        """
        counts = channel_counts(model, result.kept)
        rows = layer_rows(model, result.model, counts, {**skipped, **result.notes})
        pruned = result.model
        if self.options.from_scratch:
            pruned = with_new_weights(pruned, self.context.seed)
        return Compressed(pruned, result.plan, tuple(rows))

    def prune(
        self,
        model: keras.Model,
        layers: Sequence[str],
        shares: Mapping[str, float],
        planned: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Pruned:
        """The smaller model, with the given channels, or with newly chosen ones.

        Args:
          model: the trained model.
          layers: the layers that may be pruned, in the order of execution.
          shares: layer -> the share of its channels to keep.
          planned: layer -> the channels that it keeps, in place of `shares`.
        """
        stage = self.stage
        sampling = self._sampling(stage.num_images)
        with progress_of_layers(model, layers) as report:
            return prune_channels(
                model,
                sampling.images,
                {name: 1 - share for name, share in shares.items()},
                stage.selector,
                layers=layers,
                channels=planned and {name: planned[name] for name in layers if name in planned},
                num_positions=sampling.num_positions,
                ridge=sampling.ridge,
                seed=sampling.seed,
                supervision=self._supervision(stage.num_images),
                batch_norms=self.batch_norms,
                report=report,
            )

    @property
    def _curves(self) -> CurvesStage | None:
        """The sensitivity curves that distribute a budget; None if other options do."""
        settings = self.options.by_curves
        if settings is None:
            return None
        return CurvesStage(self.context, self.name, settings, self.stage.selector, self.options.multiple)

    def _selection_context(self, model: keras.Model) -> SelectionContext:
        num_images = min(self.stage.num_images, NUM_CURVE_IMAGES)
        return SelectionContext(model, self._prunable(model), self._sampling(num_images), self._supervision(num_images))

    def candidates(self, model: keras.Model) -> ChannelCandidates:
        return self._candidates(model, min(self.stage.num_images, NUM_SEARCH_IMAGES))

    def _candidates(self, model: keras.Model, num_images: int) -> ChannelCandidates:
        return self._candidates_of(ChannelCandidates, model, num_images)

    def _candidates_of(
        self, kind: Callable[..., ChannelCandidates], model: keras.Model, num_images: int
    ) -> ChannelCandidates:
        if self.context.search.max_bytes is not None:
            raise UsageError(
                f'--hpo_max_bytes={self.context.search.max_bytes}: the budget of {self.name} is in '
                f'multiply-adds; give --{self.options.budget_flag}'
            )
        return kind(
            model,
            self._prunable(model),
            self.stage.selector,
            self.options.macs_share,
            self._sampling(num_images),
            self.trainer_parts(model, None),
            self._supervision(num_images),
            batch_norms=self.batch_norms,
        )

    def _skipped(self, model: keras.Model) -> dict[str, str]:
        """Skipped layer -> the reason; at least one layer is not skipped."""
        skipped = self.skip_reasons(model)
        check_any_prunable(model, skipped, self.stage.flags, self.name)
        return skipped

    def _prunable(self, model: keras.Model) -> dict[str, ReaderChannels]:
        skipped = self._skipped(model)
        return {name: reader for name, reader in reader_channels(model).items() if name not in skipped}

    def _check_memory(self, model: keras.Model) -> None:
        demand, flags = self._demand(model), self.stage.flags
        if demand.shapes:
            unit = flags.images_per_unit
            require_memory(demand, self.num_images_read(), flags.num_images, flags.skip_names, images_per_unit=unit)

    def _demand(self, model: keras.Model) -> Demand:
        stage, skipped = self.stage, self.skip_reasons(model)
        layers = [name for name in reader_channels(model) if name not in skipped]
        image = self.helper.training_images(1, self.context.seed)
        return Demand.of(model, layers, image, stage.num_positions, stage.selector)

    def _sampling(self, num_images: int) -> Sampling:
        images, stage = self.helper.training_images(num_images, self.context.seed), self.stage
        return Sampling(images, stage.num_positions, stage.ridge, self.context.seed)

    def _supervision(self, num_images: int) -> Supervision | None:
        """Labels of the images of `_sampling`, and the pair's loss without weight decay, if the selector needs them."""
        if not SELECTORS.get(self.stage.selector).needs_supervision:
            return None
        _, labels = self.helper.training_samples(num_images, self.context.seed)
        return Supervision(labels, lambda labels, outputs: self.helper.calc_loss(labels, outputs, [])[0])


@contextlib.contextmanager
def progress_of_layers(model: keras.Model, layers: Sequence[str]) -> Iterator[Report]:
    """Progress over the layers of a model; the block calls the given function for each layer that is re-fitted."""
    progress, readers = Progress('selecting channels', len(layers), unit='layers'), reader_channels(model)

    def report(name: str, num_kept: int, error: float) -> None:
        progress.advance(1)
        progress.report({'kept': num_kept, 'of': readers[name].num_channels, 'relative_error': error}, name)

    yield report
    progress.close()


def _refit_seconds(demand: Demand, num_images: int, speed: Speed) -> float:
    """Images run through the full and the pruned model; then the equations of each layer."""
    return 2 * num_images * speed.image + selection_flops(demand, num_images) / float64_flops_per_second()
