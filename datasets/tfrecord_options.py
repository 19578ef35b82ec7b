"""Options of images in TFRecord files."""

from __future__ import annotations

import dataclasses

from pocketflow.datasets.image_options import ImageOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option


@dataclasses.dataclass(frozen=True)
class TfrecordOptions(ImageOptions):
    """TFRecord files of `tf.train.Example`s with an image and its label."""

    files_train: str | None = option(
        'tfrecord_train',
        None,
        'pattern of the training files below the folder, as train-*; default: files with train in their path, else all',
    )
    files_eval: str | None = option(
        'tfrecord_eval',
        None,
        'pattern of the evaluation files; default: files with val, valid, validation, test or eval in their path; '
        'without any, a share of the training records',
    )
    feature_image: str | None = option(
        'tfrecord_image', None, 'feature with the image: an encoded file, or pixels; default: image/encoded or image'
    )
    feature_label: str | None = option(
        'tfrecord_label',
        None,
        'feature with the label: a number, or the name of a class; default: image/class/label or label',
        unless='labels=none',
    )
    feature_height: str | None = option(
        'tfrecord_height', None, 'feature with the height, if images are pixels; default: image/height or height'
    )
    feature_width: str | None = option(
        'tfrecord_width', None, 'feature with the width, if images are pixels; default: image/width or width'
    )
    first_class: int = option(
        'tfrecord_first_class',
        0,
        'number of the first class in the records: often 0, of ImageNet by TF-Slim 1',
        unless='labels=none',
    )
    index_dir: str | None = option(
        'tfrecord_index_dir',
        None,
        'folder that keeps the index of the records, for further runs and after interruptions; default: the run '
        'directory',
        decides=False,
    )

    def check(self) -> None:
        super().check()
        if (self.feature_height is None) != (self.feature_width is None):
            raise UsageError('--tfrecord_height and --tfrecord_width: give both or none')

    def refuse_missing(self) -> None:
        if not self.data_dir:
            raise UsageError('--data_dir_local is missing; name the folder of the TFRecord files')
        super().refuse_missing()
