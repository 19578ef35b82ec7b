"""`dis-chn-pruned`: discrimination-aware channel pruning, block by block with tuning in between."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.learners.channel_pruning.learner import ChannelPruningLearner, progress_of_layers
from pocketflow.learners.channel_pruning.linear_forms import linear_form
from pocketflow.learners.channel_pruning.pruning import Chosen, Pruned, Refitted, Report, prune_by, refit_layers
from pocketflow.learners.channel_pruning.selectors.dcp import NUM_ROUNDS, NUM_SCORED
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.learners.channel_pruning_discrimination.blocks import Block, blocks_of
from pocketflow.learners.channel_pruning_discrimination.heads import body_of, check_outputs, with_head
from pocketflow.learners.channel_pruning_discrimination.options import DiscriminationOptions
from pocketflow.learners.channel_pruning_discrimination.records import BlockRecords, PrunedBlocks
from pocketflow.learners.channel_pruning_discrimination.selector import HeadSelector
from pocketflow.learners.forecast import Effort, Speed
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.search.trial_network import unsharded
from pocketflow.utils.channels import input_masks, reader_channels
from pocketflow.utils.distributed.mirror import CHECKPOINTS
from pocketflow.utils.tasks.nests import Nest
from pocketflow.utils.training.checkpoints import random_generators
from pocketflow.utils.training.trainer import Trainer, TrainerParts


@LEARNERS.register('dis-chn-pruned')
class DisChnPrunedLearner(ChannelPruningLearner):
    """Channels chosen by the gradient of reconstruction and discrimination losses (Zhuang et al. 2018).

    Zhuang et al. 2018, "Discrimination-aware Channel Pruning for Deep Neural Networks",
    https://arxiv.org/abs/1810.11809, algorithm 1. The convolutions are divided into blocks. For each block:
      1. an auxiliary head is put on the output of its last layer; for the last block, the network itself is the head;
      2. the network pruned so far and the head are tuned with the sum of their losses;
      3. for each layer of the block, channels are added greedily to an empty set (algorithm 2, `selectors/dcp.py`).
    An interrupted stage continues after the last block that was pruned. The primary prunes and tunes, with the batches
    of a single worker, so that the number of workers does not matter.
    """

    options: DiscriminationOptions
    options_class = DiscriminationOptions

    def check_layers(self, make_model: Callable[[], keras.Model]) -> None:
        super().check_layers(make_model)
        if self.options.num_heads and self.options.num_tuning_steps:
            check_outputs(make_model(), 'give --dcp_nb_stages=0')

    def shares(self, model: keras.Model, layers: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(layers, 1 - self.options.prune_ratio)

    def shares_method(self) -> str:
        return 'numbers of channels by --dcp_prune_ratio, as if all channels were equally important'

    def compress_effort(self, model: keras.Model, speed: Speed) -> Effort:
        effort, blocks = super().compress_effort(model, speed), self._blocks(model)
        tuning = len(blocks) * self.options.num_tuning_steps * speed.step
        scored = min(self.num_images_read(), NUM_SCORED)
        # Gradients take about twice the time of the inference, and layers with common sets are scored twice.
        scoring = 2 * 3 * len(self._prunable(model)) * NUM_ROUNDS * scored * speed.image
        return Effort(effort.seconds + tuning + scoring, effort.num_bytes)

    def prune(
        self,
        model: keras.Model,
        layers: Sequence[str],
        shares: Mapping[str, float],
        planned: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Pruned:
        readers, num_images = {name: reader_channels(model)[name] for name in layers}, self.stage.num_images
        context = SelectionContext(model, readers, self._sampling(num_images), self._supervision(num_images))
        selector = HeadSelector(context)
        with progress_of_layers(model, layers) as report:
            return prune_by(
                context, selector, shares, lambda chosen: self._in_blocks(context, selector, chosen, report)
            )

    def _blocks(self, model: keras.Model) -> list[Block]:
        """All layers that have a linear form, except those that make outputs, in blocks.

        Without tuning there is a single block, because a head that is not trained discriminates nothing.
        """
        able = [
            name
            for name in reader_channels(model)
            if name not in model.output_names and linear_form(model.get_layer(name)) is not None
        ]
        return blocks_of(able, self.options.num_heads if self.options.num_tuning_steps else 0)

    def _in_blocks(self, context: SelectionContext, selector: HeadSelector, chosen: Chosen, report: Report) -> Refitted:
        blocks = self._blocks(context.model)
        records = BlockRecords(self._blocks_folder, context.model, context.readers)
        self._blocks_folder.mkdir(parents=True, exist_ok=True)
        state = records.last(len(blocks))
        for block in blocks[state.number :]:
            logging.info('%s: block %d of %d: %s', self.name, block.number, len(blocks), ', '.join(block.layers))
            state = self._after(block, state, context, selector, chosen, report)
            records.save(state)
            shutil.rmtree(self._checkpoints(block), ignore_errors=True)
        return state.model, dict(state.kept)

    def _after(
        self,
        block: Block,
        state: PrunedBlocks,
        context: SelectionContext,
        selector: HeadSelector,
        chosen: Chosen,
        report: Report,
    ) -> PrunedBlocks:
        """Tunes the network, then prunes the layers of a block; the target of the re-fit is the tuned network."""
        selector.has_head = block.head is not None
        network = state.model if block.head is None else with_head(state.model, block.head, self.context.seed)
        self._tune(block, network, state.kept)
        pruned = context.readers.keys() & set(block.layers)
        # A head changes the order in which parallel branches are run.
        readers = {name: context.readers[name] for name in reader_channels(network) if name in pruned}
        kept: dict[str, tuple[int, ...]] = {}
        if readers:
            network, kept = refit_layers(
                network, readers, context.sampling, chosen, report, batch_norms=self.batch_norms
            )
        body = network if block.head is None else body_of(network)
        return PrunedBlocks(block.number, body, {**state.kept, **kept})

    def _tune(self, block: Block, network: keras.Model, kept: Mapping[str, tuple[int, ...]]) -> None:
        """Trains a network, with or without a head, and leaves the weights of dropped channels at zero."""
        helper, num_steps = unsharded(self.training_helper()), self.options.num_tuning_steps

        def loss_fn(
            labels: Nest, outputs: Nest, variables: list[tf.Variable]
        ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            if block.head is None:
                return helper.calc_loss(labels, outputs, variables)
            body, head = outputs
            loss, metrics = helper.calc_loss(labels, body, variables)
            head_loss, _ = helper.calc_loss(labels, head, [])
            return loss + head_loss, {**metrics, 'head_loss': head_loss}

        if not num_steps:
            return
        for generator in random_generators(network):
            generator.reset_from_seed(self.context.seed + block.number)
        folder = self._checkpoints(block)
        folder.parent.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(
            network,
            loss_fn,
            keras.optimizers.Adam(self.options.tuning_rate, jit_compile=False),
            self.context.trainer_options,
            folder=folder,
            parts=TrainerParts(constraint=_zeros(network, kept)),
            log=self.context.log,
            label=f'{self.context.folder.name} block {block.number}',
        )
        trainer.fit(lambda step: helper.build_dataset_train(first_step=step), num_steps)

    def _checkpoints(self, block: Block) -> Path:
        return self._blocks_folder / f'tuning-{block.number}'

    @property
    def _blocks_folder(self) -> Path:
        return self.context.folder / CHECKPOINTS / 'blocks'  # other workers do not need it


def _zeros(network: keras.Model, kept: Mapping[str, Sequence[int]]) -> Callable[[tf.Tensor], None]:
    """The constraint that the weights of channels that are not kept are zero."""
    masks = [
        (getattr(network.get_layer(name), weight), tf.constant(mask))
        for name, of_layer in input_masks(network, kept).items()
        for weight, mask in of_layer.items()
    ]

    def set_zeros(step: tf.Tensor) -> None:
        for variable, mask in masks:
            variable.assign(variable * tf.cast(mask, variable.dtype))

    return set_zeros
