"""Options that all data sets of images of any size share."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from pocketflow.datasets.options import DatasetOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option, with_defaults

if TYPE_CHECKING:  # what the function below returns is a subclass
    from pocketflow.datasets.options import DatasetOptions as _Base
else:
    _Base = with_defaults(
        DatasetOptions,
        '_Base',
        num_train=None,
        num_val=None,
        num_eval=None,
        batch_size=32,
        batch_size_eval=50,
        prefetch=2,
    )
SCALES = ('none', '0-1', '-1-1', 'caffe', 'torch', 'means')
COLOUR_SCALES = ('caffe', 'torch', 'means')
NO_LABELS = 'none'
"""Value of `--labels`: the answers of the uncompressed network take their place."""
VAL_SHARE = 0.1
"""Default share of the training images that searches hold out for validation."""


@dataclasses.dataclass(frozen=True)
class ImageOptions(_Base):
    """Conversion of images of any size to what a network takes."""

    labels: str | None = option(
        'labels',
        None,
        'none: images without labels; the compressed network learns the answers of the original one, and reports give '
        'the agreement with it; default: the labels of the data',
        choices=(NO_LABELS,),
    )
    image_size: str | None = option(
        'image_size', None, 'height and width that images are resized to, as 224,224; default: what the network takes'
    )
    resize: str = option(
        'image_resize',
        'bilinear',
        "bilinear: like Keras's own loader; antialias: averages over what one pixel replaces, better for large photos",
        choices=('bilinear', 'antialias'),
    )
    fit: str = option(
        'image_fit',
        'stretch',
        'images of another shape: stretch them, crop their middle, or pad them with black',
        choices=('stretch', 'crop', 'pad'),
    )
    scale: str = option(
        'image_scale',
        'auto',
        "what the network takes: 0-1, -1-1, caffe (BGR minus ImageNet's means), torch (0-1, minus ImageNet's means, by "
        "its deviations), means (RGB minus ImageNet's means), or none (0 to 255); auto: none for a network with "
        'preprocessing layers of its own, else 0-1',
        choices=('auto', *SCALES),
    )
    mean: str | None = option(
        'image_mean', None, 'subtracted after image_scale: one number, or one per channel, as 125.3,123,113.9'
    )
    std: str | None = option('image_std', None, 'divides after image_mean: one number, or one per channel')
    augmentation: str = option(
        'augment',
        'crop-flip',
        'changes of training images: crop shifts them by up to crop_padding pixels, flip mirrors every second one; '
        'inception: parts of any size, mirrored; randaugment-lite: crop-flip, then two of rotation, shear, '
        'translation, brightness, contrast and colour',
        choices=('none', 'crop', 'flip', 'crop-flip', 'inception', 'randaugment-lite'),
    )
    eval_share: float = option(
        'eval_share',
        0.2,
        'share of the images of each class that is kept for evaluation, if the data have no part of their own for it',
        above=0,
        below=1,
    )
    cache_size: int = option(
        'image_cache_mib',
        256,
        'training images are decoded once if all of them take no more memory than so many MiB; 0: never',
        low=0,
        decides=False,
    )
    check_images: bool = option(
        'enbl_check_images', True, 'decode or look through every image before training, to find bad ones', decides=False
    )
    skip_bad: bool = option('skip_bad_images', False, 'leave bad images out, instead of refusing them')

    def check(self) -> None:
        super().check()
        if self.skip_bad and not self.check_images:
            raise UsageError(
                '--skip_bad_images: broken images are found by --enbl_check_images; drop --noenbl_check_images'
            )
        for flag, text, accepted in (('image_mean', self.mean, -math.inf), ('image_std', self.std, 0.0)):
            if text is not None and any(value <= accepted for value in numbers(flag, text)):
                raise UsageError(f'--{flag}={text}: must be above 0')
        if self.scale in COLOUR_SCALES and (self.mean, self.std) != (None, None):
            raise UsageError(f'--image_scale={self.scale} has means of its own; drop --image_mean and --image_std')
        _ = self.size

    @property
    def has_labels(self) -> bool:
        return self.labels != NO_LABELS

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) given by the user; None if not given."""
        if self.image_size is None:
            return None
        parts = self.image_size.replace('x', ',').split(',')
        if not 1 <= len(parts) <= 2 or not all(part.strip().isdecimal() and int(part) for part in parts):
            raise UsageError(f'--image_size={self.image_size}: must be height and width in pixels, as 224,224')
        return int(parts[0]), int(parts[-1])

    def counted(self, num_train: int, num_eval: int) -> ImageOptions:
        """Fills in the numbers of samples that are not given.

        Args:
          num_train, num_eval: how many images there are.
        """
        num_train = self.num_train or num_train
        num_val = self.num_val or max(1, round(VAL_SHARE * num_train))
        return self.replace(num_train=num_train, num_val=num_val, num_eval=self.num_eval or num_eval)

    def without_decoding(self) -> ImageOptions:
        return self.replace(check_images=False, skip_bad=False)


def numbers(flag: str, text: str) -> tuple[float, ...]:
    """One number, or several separated by commas.

    >>> numbers('image_mean', '125.3, 123')
    (125.3, 123.0)
    """
    try:
        values = tuple(float(part) for part in text.split(','))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise UsageError(f'--{flag}={text}: must be one number, or one per channel, separated by commas')
    return values
