"""Options of ILSVRC-12."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pocketflow.datasets.image_options import ImageOptions
from pocketflow.datasets.options import DatasetOptions
from pocketflow.datasets.sources.image_folders import shown
from pocketflow.datasets.sources.shards import check_shards
from pocketflow.datasets.sources.storage import entries, is_address
from pocketflow.datasets.tfrecord_options import TfrecordOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option, with_defaults

if TYPE_CHECKING:
    from pocketflow.datasets.tfrecord_options import TfrecordOptions as _Base
else:
    # Decoding 1.28 million images takes an hour or more; the records have checksums, which are always compared.
    _Base = with_defaults(TfrecordOptions, '_Base', check_images=False, batch_size=64, batch_size_eval=100)
NUM_CLASSES = 1000
NUM_VAL = 10000
"""Number of training images that searches hold out, if the set is large enough."""
SPLITS = {'train': 'train', 'eval': 'validation'}
"""Split -> begin of the names of its files."""
EXPECTED = 'train-00000-of-01024 ..., validation-00000-of-00128 ... (written by pocketflow.datasets.build_ilsvrc12)'
RESNET, INCEPTION = PREPROCESSINGS = ('resnet', 'inception')
RANDOM = 'random'


@dataclasses.dataclass(frozen=True)
class Ilsvrc12Options(_Base):
    """ILSVRC-12 as TFRecord files in its usual layout."""

    superseded = {flag: reason for flag, reason in DatasetOptions.superseded.items() if flag != 'nb_classes'}

    num_outputs: int | None = option(
        'nb_classes',
        None,
        'outputs of the network: 1000, or 1001 with a background class first, which no image has; default: those of a '
        'given network, else 1001',
        low=NUM_CLASSES,
        high=NUM_CLASSES + 1,
    )
    first_label: int = option(
        'ilsvrc12_first_label', 1, 'number of the first class in the records: 1, as TF-Slim has it, or 0', low=0, high=1
    )
    preprocessing: str = option(
        'ilsvrc12_preprocessing',
        RESNET,
        'resnet: evaluates on the middle of images whose shorter side is 8/7 of image_size, subtracts mean colours; '
        'inception: evaluates on the middle 7/8 of height and width, scales to -1 to 1, changes colours in training; '
        'both train on random parts, half of them mirrored',
        choices=PREPROCESSINGS,
    )
    changes: str = option(
        'augment',
        RANDOM,
        'random: training images are changed as ilsvrc12_preprocessing says; none: they are like evaluation images',
        choices=(RANDOM, 'none'),
    )
    # Flags of other data sets that have no effect here: the layout and the preprocessing decide.
    files_train: str | None = None
    files_eval: str | None = None
    feature_image: str | None = None
    feature_label: str | None = None
    feature_height: str | None = None
    feature_width: str | None = None
    first_class: int = 0
    fit: str = ''
    augmentation: str = 'none'
    crop_padding: int = 0
    eval_share: float = 0.0
    cache_size: int = 0

    def check(self) -> None:
        super().check()
        if self.crop_padding:
            raise UsageError(
                f'--crop_padding_ft={self.crop_padding}: training images of ILSVRC-12 are random parts, which are not '
                'shifted; drop the flag'
            )

    def refuse_missing(self) -> None:
        folder = self.data_dir
        if not folder:
            raise UsageError(f'--data_dir_local is missing; name the folder of the TFRecord files: {EXPECTED}')
        super().refuse_missing()
        if not is_address(folder):
            self.check_names(entry.name for entry in entries(folder) if entry.is_file)

    def check_names(self, names: Iterable[str]) -> list[list[str]]:
        """The names of the training and of the validation files; raises a `UsageError` if some are missing."""
        found, where = list(names), shown(self.data_dir)
        return [check_shards(found, split, where, EXPECTED) for split in SPLITS.values()]

    def counted(self, num_train: int, num_eval: int) -> ImageOptions:
        counted = super().counted(num_train, num_eval)
        return counted if self.num_val else counted.replace(num_val=min(NUM_VAL, counted.num_val))
