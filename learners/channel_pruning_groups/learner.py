"""`channel`: channel pruning with a ratio per layer, group by group, with tuning in between."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import Compressed
from pocketflow.learners.channel_pruning.candidates import ChannelCandidates
from pocketflow.learners.channel_pruning.counts import num_kept
from pocketflow.learners.channel_pruning.learner import ChannelPruningLearner
from pocketflow.learners.channel_pruning.linear_forms import linear_form
from pocketflow.learners.channel_pruning.list_file import by_layer, read_list
from pocketflow.learners.channel_pruning.options import StageSettings
from pocketflow.learners.channel_pruning.pruning import Pruned, channels_plan
from pocketflow.learners.channel_pruning_groups.free_candidates import FreeChannelCandidates
from pocketflow.learners.channel_pruning_groups.groups import groups_of
from pocketflow.learners.channel_pruning_groups.options import GroupPruningOptions
from pocketflow.learners.model_files import load_own_model
from pocketflow.learners.options import LEARNERS
from pocketflow.utils.channels import reader_channels, trace
from pocketflow.utils.channels.streams import streams
from pocketflow.utils.distributed.mirror import CHECKPOINTS, mirror
from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import save_model
from pocketflow.utils.runs.records import required_record
from pocketflow.utils.system import atomic

LIST_FLAG = 'cp_prune_list_file'
WHAT = 'shares of input channels to keep, above 0 and at most 1'
KEPT_SHAPE = {'kept': {...: [int]}}
Kept = dict[str, tuple[int, ...]]


@LEARNERS.register('channel')
class GroupPruningLearner(ChannelPruningLearner):
    """Channel pruning with a ratio per layer (He et al. 2017), searched by an agent (He et al. 2018) or given.

    He, Zhang and Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks",
    https://arxiv.org/abs/1707.06168; He et al. 2018, "AMC", https://arxiv.org/abs/1802.03494.

    Layers are pruned in groups. After each group but the last, the smaller network is tuned on all workers, and the
    next group reconstructs the outputs of the tuned network. A stage that was interrupted continues after the last
    group that was tuned.
    """

    options: GroupPruningOptions
    options_class = GroupPruningOptions

    @property
    def stage(self) -> StageSettings:
        stage, batch_size = self.options.stage, self.helper.dataset.options.batch_size
        flags = dataclasses.replace(stage.flags, images_per_unit=batch_size)
        return dataclasses.replace(stage, num_images=self.options.num_batches * batch_size, flags=flags)

    def check_inputs(self) -> None:
        super().check_inputs()
        self._listed()
        metric = self.helper.task.primary
        if self.options.reward_policy == 'flops' and not (metric.is_share and metric.higher_is_better):
            raise UsageError(
                f'--cp_reward_policy=flops: needs a metric that is a share of right answers, not {metric.label}; '
                'give --cp_reward_policy=accuracy, which maximises any metric within a budget'
            )

    def check_model(self, make_model: Callable[[], keras.Model]) -> None:
        super().check_model(make_model)
        if not self.options.searches:
            self.shares(make_model(), [])

    def shares(self, model: keras.Model, layers: Sequence[str]) -> dict[str, float]:
        readers = reader_channels(model)
        if self.options.prune_option == 'list':
            convolutions = [
                name
                for name, reader in readers.items()
                if reader.kind == 'conv' and linear_form(model.get_layer(name)) is not None
            ]
            wanted = by_layer(self._listed(), convolutions, str(self.options.list_path), LIST_FLAG)
        else:
            wanted = dict.fromkeys(layers, self.options.uniform_share)
        sizes = {name: readers[name].num_channels for name in layers}
        return {name: num_kept(size, wanted[name], self.options.multiple) / size for name, size in sizes.items()}

    def shares_method(self) -> str:
        flag = LIST_FLAG if self.options.prune_option == 'list' else 'cp_uniform_preserve_ratio'
        return f'numbers of channels by --{flag}, as if all channels were equally important'

    def prepare(self, model: keras.Model, found: Mapping[str, tuple[int, ...]] | None) -> None:
        groups, current, kept = self._groups(model), model, Kept()
        for index, layers in enumerate(groups[:-1]):
            if not self.context.workers.share(self._record(index).exists):
                current = self._pruned_group(index, current, layers, self._shares_of(model, layers, found), kept)
                self._tune(index, current)
            current, kept = self._load_group(index)
            logging.info('%s: group %d of %d is tuned', self.name, index + 1, len(groups))

    def compress(self, model: keras.Model, found: Mapping[str, tuple[int, ...]] | None = None) -> Compressed:
        """Prunes the last group; all layers, if no other group was tuned (`prepare`), as in trials of a search."""
        groups = self._groups(model)
        if len(groups) == 1 or not self._record(len(groups) - 2).exists():
            return super().compress(model, found)
        current, kept = self._load_group(len(groups) - 2)
        result = self.prune(current, groups[-1], self._shares_of(model, groups[-1], found))
        kept |= result.kept
        plan = channels_plan(model, reader_channels(model), kept, result.model)
        return self.compressed(model, dataclasses.replace(result, plan=plan), self._skipped(model))

    def _candidates(self, model: keras.Model, num_images: int) -> ChannelCandidates:
        kind: Callable[..., ChannelCandidates] = ChannelCandidates
        if self.options.reward_policy == 'flops':
            kind = functools.partial(FreeChannelCandidates, self.options.noise_tolerance)
        return self._candidates_of(functools.partial(kind, multiple=self.options.multiple), model, num_images)

    def _listed(self) -> tuple[float, ...]:
        """The numbers of the list file; empty without one."""
        path = self.options.list_path
        return () if path is None else read_list(path, LIST_FLAG, WHAT, lambda share: 0 < share <= 1)

    def _groups(self, model: keras.Model) -> list[list[str]]:
        return groups_of(
            [list(stream.places) for stream in streams(trace(model), self._prunable(model))], self.options.group_size
        )

    def _shares_of(
        self, model: keras.Model, layers: Sequence[str], found: Mapping[str, tuple[int, ...]] | None
    ) -> dict[str, float]:
        """The shares that layers keep: those of the channels that were found by a search, or those of the flags."""
        if found is None:
            return self.shares(model, layers)
        readers = reader_channels(model)
        return {name: len(found[name]) / readers[name].num_channels for name in layers}

    def _pruned_group(
        self, index: int, model: keras.Model, layers: Sequence[str], shares: Mapping[str, float], kept: Kept
    ) -> keras.Model:
        """The network without the unread channels of a group, on all workers; pruned by the primary."""
        file, workers = self._folder(index) / 'pruned.keras', self.context.workers
        if workers.is_primary and not self._kept_file(index).exists():
            result: Pruned = self.prune(model, layers, shares)
            save_model(result.model, file)
            atomic.write_json(self._kept_file(index), {'kept': {**kept, **result.kept}})
        mirror(workers, self.context.folder)
        return load_own_model(file, self._how_to_repeat)

    def _tune(self, index: int, model: keras.Model) -> None:
        """Tunes the network after a group; the record of the group is written last."""
        options, (_, num_steps), optimizer = self.options, self.schedule(), None
        if options.finetune and not options.retrain:
            num_steps = max(1, int(options.tuning_share * num_steps))
            optimizer = keras.optimizers.Adam(options.tuning_rate)
        folder, label = self._folder(index), f'{self.context.folder.name} group {index + 1}'
        self.fit(
            Compressed(model), num_steps, optimizer, folder=folder / CHECKPOINTS, log=self.context.log, label=label
        )
        if self.context.workers.is_primary:
            save_model(model, folder / 'tuned.keras')
            atomic.write_json(self._record(index), {'metrics': self.evaluate(model)})
        mirror(self.context.workers, self.context.folder)

    def _load_group(self, index: int) -> tuple[keras.Model, Kept]:
        """The network that was tuned after a group, and the channels kept so far, by the numbers of the full model."""
        record = required_record(self._kept_file(index), KEPT_SHAPE, self._how_to_repeat)
        model = load_own_model(self._folder(index) / 'tuned.keras', self._how_to_repeat)
        return model, {name: tuple(channels) for name, channels in record['kept'].items()}

    def _folder(self, index: int) -> Path:
        folder = self.context.folder / f'group-{index + 1}'
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _kept_file(self, index: int) -> Path:
        return self._folder(index) / 'kept.json'

    def _record(self, index: int) -> Path:
        return self._folder(index) / 'tuned.json'

    @property
    def _how_to_repeat(self) -> str:
        return f'delete the folders {self.context.folder}/group-* to prune again'
