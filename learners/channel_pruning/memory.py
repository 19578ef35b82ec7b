"""Estimates the memory of channel selection and re-fitting, before data are loaded or anything is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.contributions import images_at_once
from pocketflow.learners.channel_pruning.equations import ROWS_AT_A_TIME, equation_bytes, is_kept_as_rows
from pocketflow.learners.channel_pruning.grams import contribution_bytes
from pocketflow.learners.channel_pruning.linear_forms import known_linear_form
from pocketflow.learners.channel_pruning.sampling import BATCH_SIZE, CHUNK_BYTES, PEAK, input_shapes, num_rows
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.errors import UsageError
from pocketflow.utils.system.memory import available_bytes, in_words
from pocketflow.utils.tasks.nests import Nest

FEW_IMAGES = 100
"""Least number of images to suggest; if fewer fit, the message suggests to leave the layer out."""


@dataclasses.dataclass(frozen=True)
class Demand:
    """The memory requirements of one model.

    Attributes:
      image_bytes: size of one image.
      map_bytes: size of the feature maps of one image while a layer is run.
      weight_bytes: size of the weights of the model.
      shapes: (features, outputs) of each layer.
      channels: number of input channels of each layer.
      rows_per_image: sampled rows of each layer.
      needs_gram: as for `equations.equation_bytes`.
      groups: number of groups of each grouped convolution.
    """

    image_bytes: int
    map_bytes: int
    weight_bytes: int
    shapes: Mapping[str, tuple[int, int]]
    channels: Mapping[str, int]
    rows_per_image: Mapping[str, int]
    needs_gram: bool = False
    groups: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, model: keras.Model, layers: Collection[str], image: Nest, num_positions: int, selector: str) -> Demand:
        """Requirements for pruning the `layers` of a model; `image` is float32 `[1, height, width, channels]`."""
        inputs, held = input_shapes(model, layers, image)
        forms = {name: known_linear_form(model.get_layer(name)) for name in layers}
        rows = {
            name: num_rows(inputs[name], form.output_size(inputs[name]), num_positions) for name, form in forms.items()
        }
        return cls(
            sum(array.nbytes for array in tf.nest.flatten(image)),
            PEAK * held,
            sum(weight.shape.num_elements() * weight.dtype.size for weight in model.weights),
            {name: form.shape for name, form in forms.items()},
            {name: reader.num_channels for name, reader in reader_channels(model).items() if name in forms},
            rows,
            needs_gram=SELECTORS.get(selector).needs_features,
            groups={name: len(form.blocks()) for name, form in forms.items()},
        )

    def of_layer(self, name: str, num_images: int) -> int:
        """Bytes of the equations of a layer."""
        shape, num_rows = self.shapes[name], num_images * self.rows_per_image[name]
        equations = equation_bytes(shape, num_rows, self.needs_gram)
        if self.needs_gram or not is_kept_as_rows(shape[0], num_rows):
            return equations
        return equations + self._contributions(name, min(num_rows, ROWS_AT_A_TIME))

    def _contributions(self, name: str, num_rows: int) -> int:
        """Bytes of the Gram matrix of a layer's contributions, which is computed group by group."""
        (features, outputs), num_groups = self.shapes[name], self.groups.get(name, 1)
        shape = (features // num_groups, outputs // num_groups)
        return contribution_bytes(num_rows, shape, self.channels[name] // num_groups)

    def largest(self, num_images: int) -> str:
        """The layer whose equations need the most memory."""
        return max(self.shapes, key=lambda name: self.of_layer(name, num_images))

    def deciding(self, num_images: int) -> int:
        """Bytes of the statistics of all layers (`contributions.contributions`), without the images."""
        batch = min(images_at_once(self.map_bytes), num_images)
        most = max(
            self._contributions(name, batch * self.rows_per_image[name])
            + 3 * 8 * shape[0] * shape[1]  # the weights in float64, padded and in groups
            for name, shape in self.shapes.items()
        )
        return batch * self.map_bytes + most + sum(8 * count**2 for count in self.channels.values())

    def fitting(self, num_images: int) -> int:
        """Bytes of a copy of the model, the feature maps of the smallest chunk, and the largest equations."""
        chunk = 2 * min(max(CHUNK_BYTES, self.map_bytes), BATCH_SIZE * self.map_bytes)
        return self.weight_bytes + chunk + self.of_layer(self.largest(num_images), num_images)

    def total(self, num_images: int) -> int:
        """Bytes of the images, and of the step that takes most."""
        images = num_images * self.image_bytes
        # Loading holds the images twice: in batches and joined.
        return images + max(images, self.deciding(num_images), self.fitting(num_images))


def require_memory(
    demand: Demand,
    num_images: int,
    images_flag: str,
    skip_flag: str | None,
    available: int | None = None,
    images_per_unit: int = 1,
) -> None:
    """Raises a `UsageError` that suggests flags if there is not enough memory.

    Args:
      demand: requirements of the model.
      num_images: number of images for selection and re-fitting.
      images_flag: the flag, without dashes, for the number of images.
      skip_flag: the flag for layers to leave out; None if there is none.
      images_per_unit: images for one unit of `images_flag`.
      available: available bytes; by default those reported by the system. If unknown, there is no check.
    """
    available = available_bytes() if available is None else available
    if available is None or demand.total(num_images) <= available:
        return
    name = demand.largest(num_images)
    features, outputs = demand.shapes[name]
    what = (
        f'choosing channels on {num_images} images would take {in_words(demand.total(num_images))} of memory, of '
        f'which layer {name} ({features} weights in each of {outputs} filters) '
        f'{in_words(demand.of_layer(name, num_images))}; {in_words(available)} are available'
    )
    fitting = _most_images(demand, num_images, available)
    if fitting >= min(FEW_IMAGES, num_images - 1) or skip_flag is None:
        raise UsageError(f'{what}; give --{images_flag}={max(1, fitting // images_per_unit)} or less')
    raise UsageError(f'{what}; leave the layer out: --{skip_flag}={name}')


def _most_images(demand: Demand, num_images: int, available: int) -> int:
    """The greatest number of images that fit, rounded down to two digits; 0 if one image does not fit."""
    fits, too_many = 0, num_images
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if demand.total(middle) <= available else (fits, middle)
    scale = 10 ** max(0, len(str(fits)) - 2)
    return fits // scale * scale
