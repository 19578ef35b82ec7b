"""Random parts of images in records, for training: only the part is decoded, if the image is a JPEG.

The part depends on the seed and on the place of the sample in the stream of batches alone, so that training resumes.
"""

from __future__ import annotations

from collections.abc import Collection

import tensorflow as tf

from pocketflow.datasets.sources.decoding import Form, decode
from pocketflow.datasets.sources.image_headers import JPEG
from pocketflow.datasets.sources.records import Decoder, RecordIndex, RecordSource

BOXES = tuple(f'image/object/bbox/{side}' for side in ('ymin', 'xmin', 'ymax', 'xmax'))
"""Features with the sides of the annotated objects, as shares of height and width."""
MIN_COVERED = 0.1
"""Least share of an annotated object, or of the whole image, that must be in the part."""
AREAS, RATIOS = (0.05, 1.0), (0.75, 1.33)
"""Ranges of the part's share of the area and of its width / height."""
NUM_ATTEMPTS = 100


def usable_boxes(sides: list[tf.Tensor]) -> tf.Tensor:
    """Boxes of annotated objects, cut to the image; those without area are left out.

    Args:
      sides: top, left, bottom and right of all objects, as shares of height and width: float32 `[N]` each.

    Returns:
      float32 `[M, 4]`.
    """
    number = tf.reduce_min([tf.size(side) for side in sides])
    boxes = tf.clip_by_value(tf.stack([side[:number] for side in sides], axis=1), 0.0, 1.0)
    return tf.boolean_mask(boxes, (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))


def random_window(shape: tf.Tensor, boxes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A random part of an image that shows something of an annotated object (Szegedy et al., CVPR 2015, section 6).

    Args:
      shape: height, width and channels of the image, int32 `[3]`.
      boxes: of its objects, as `usable_boxes` gives them; without any, the object is the whole image.
      seed: int `[2]`; equal seeds give equal parts.

    Returns:
      int32 `[4]`: top, left, height and width in pixels; the whole image if `NUM_ATTEMPTS` parts did not meet the
      conditions.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        boxes[None],
        seed,
        min_object_covered=MIN_COVERED,
        aspect_ratio_range=RATIOS,
        area_range=AREAS,
        max_attempts=NUM_ATTEMPTS,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def load_part(
    content: tf.Tensor, kind: tf.Tensor, boxes: tf.Tensor, seed: tf.Tensor, form: Form, kinds: Collection[int]
) -> tf.Tensor:
    """float32 `[height, width, 3]`, values 0 to 255: a random part, stretched to the size of the form.

    Args:
      content: the bytes of an image file, a scalar string.
      kind: as `image_headers.Header` has it, scalar int32.
      boxes, seed: as for `random_window`.
      form: size, and how it is reached.
      kinds: those that there are.
    """

    def of_jpeg() -> tf.Tensor:
        window = random_window(tf.io.extract_jpeg_shape(content), boxes, seed)
        return tf.io.decode_and_crop_jpeg(content, window, 3)

    def of_others() -> tf.Tensor:
        image = decode(content, kind, kinds)
        top, left, height, width = tf.unstack(random_window(tf.shape(image), boxes, seed))
        return image[top : top + height, left : left + width]

    if set(kinds) == {JPEG}:
        part = of_jpeg()
    else:
        part = tf.cond(kind == JPEG, of_jpeg, of_others)
    return tf.ensure_shape(tf.image.resize(part, form.size, antialias=form.antialias), [*form.size, 3])


class RandomPartSource(RecordSource):
    """A new random part of each image whenever it is used; values 0 to 255.

    Args:
      index: records with encoded images; their order is that of the samples.
      form: size of what is made of a part, which is stretched to it.
      seed: changes all parts.
    """

    def __init__(self, index: RecordIndex, form: Form, seed: int):
        super().__init__(index, form)
        self.seed = seed

    def decoder(self) -> Decoder:
        name, form, seed = self.index.features.image, self.form, self.seed
        with tf.device('CPU'):
            kinds = tf.constant(self.index.kinds)
        present = tuple(map(int, {*self.index.kinds.tolist()}))
        spec = {
            name: tf.io.FixedLenFeature([], tf.string),
            **{side: tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True) for side in BOXES},
        }

        def read(index: tf.Tensor, record: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
            features = tf.io.parse_single_example(record, spec)
            boxes = usable_boxes([features[side] for side in BOXES])
            seeds = tf.stack([place, tf.constant(2 * seed + 1, tf.int64)])
            return load_part(features[name], tf.gather(kinds, index), boxes, seeds, form, present)

        return read
