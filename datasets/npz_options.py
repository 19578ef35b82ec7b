"""Options of arrays in a `.npz` file, or in `.npy` files."""

from __future__ import annotations

import dataclasses

from pocketflow.datasets.image_options import ImageOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option


@dataclasses.dataclass(frozen=True)
class NpzOptions(ImageOptions):
    """Arrays of images and labels in a `.npz` file, or in a folder of `.npy` files."""

    images_train: str | None = option(
        'npz_x_train', None, 'array of the training images; default: x_train, train_images, x or images'
    )
    labels_train: str | None = option(
        'npz_y_train', None, 'array of their labels; default: y_train, train_labels, y or labels', unless='labels=none'
    )
    images_eval: str | None = option(
        'npz_x_eval',
        None,
        'array of the evaluation images; default: the first of x_val, val_images, x_test, test_images that is there, '
        'else a share of the training images',
    )
    labels_eval: str | None = option(
        'npz_y_eval', None, 'array of their labels; default: that beside the evaluation images', unless='labels=none'
    )

    def check(self) -> None:
        super().check()
        for one, other, flags in (
            (self.images_train, self.labels_train, ('npz_x_train', 'npz_y_train')),
            (self.images_eval, self.labels_eval, ('npz_x_eval', 'npz_y_eval')),
        ):
            if self.has_labels and (one is None) != (other is None):
                given, missing = flags if other is None else flags[::-1]
                raise UsageError(f'--{given}={one or other}: also give --{missing}, the array that goes with it')

    def refuse_missing(self) -> None:
        if not self.data_dir:
            raise UsageError('--data_dir_local is missing; name the .npz file, or the folder of the .npy files')
        super().refuse_missing()
