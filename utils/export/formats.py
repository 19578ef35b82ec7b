"""The export formats of finished models, by their names in `--export_formats`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import tf_keras as keras

from pocketflow.utils.container import pack
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import Calibration, convert, file_formats
from pocketflow.utils.export.format_names import CONTAINER, MIXED, formats
from pocketflow.utils.export.inputs import PixelInput
from pocketflow.utils.export.mixed import mixed_precision
from pocketflow.utils.export.narrow import with_int4_weights
from pocketflow.utils.graph.preprocessing import channel_maps_as_convolutions, fold_channel_maps, without_augmentation
from pocketflow.utils.quantization.encoding import AffineEncoding, Encoding
from pocketflow.utils.quantization.int8 import is_quantization_aware

Write = Callable[['Source'], bytes]


class Inference(NamedTuple):
    """A model for inference, and the normalisation of uint8 pixels in front of it, if its file takes these."""

    model: keras.Model
    pixels: PixelInput | None


@dataclasses.dataclass(frozen=True)
class Source:
    """The data from which files are written.

    Attributes:
      model: a functional float32 model with one input and one output.
      encodings: integer codes of kernels, by layer name.
      calibration: training inputs, for formats that quantize activations.
      convert: the converter; by default in this process. That of `IsolatedConversions` survives crashes.
      pixels: the normalisation, for `.tflite` files that take uint8 pixels; then `calibration` is an array of pixels.
      try_out: called with the format and the bytes of each new `.tflite` file; raises an error to reject it.
    """

    model: keras.Model
    encodings: Mapping[str, Encoding] = dataclasses.field(default_factory=dict)
    calibration: Calibration | None = None
    convert: Callable[[keras.Model, str, Calibration | None, PixelInput | None], bytes] = convert
    try_out: Callable[[str, bytes], None] | None = None
    pixels: PixelInput | None = None

    @functools.cached_property
    def in_float(self) -> Inference:
        """For files that compute in float: preprocessing is folded into the first layer where that is exact."""
        if is_quantization_aware(self.model):
            return Inference(self.model, self.pixels)
        model = without_augmentation(self.model)
        if self.pixels is not None and (whole := self.pixels.with_float_pixels(model)) is not None:
            folded = fold_channel_maps(whole)
            if folded.layers[1].name != whole.layers[1].name:  # that of the normalisation is gone
                return Inference(folded, self.pixels.of_plain_pixels)
        return Inference(fold_channel_maps(model), self.pixels)

    @functools.cached_property
    def in_int8(self) -> Inference:
        """For the int8 file: preprocessing that cannot be folded is one operation."""
        return self.in_float._replace(model=channel_maps_as_convolutions(self.in_float.model))

    def content(self, file_format: str) -> bytes:
        """The bytes of a file.

        Raises:
          PocketFlowError: the model cannot be written in that format, or the file cannot be run.
        """
        content = formats.get(file_format)(self)
        if self.try_out is not None and file_format != CONTAINER:
            self.try_out(file_format, content)
        return content


def file_name(file_format: str) -> str:
    """File name of a format: `model_int8.tflite`, or `model.pfz` for the container."""
    return f'model.{CONTAINER}' if file_format == CONTAINER else f'model_{file_format}.tflite'


def weight_bits(encodings: Mapping[str, Encoding]) -> dict[str, int]:
    """Bit widths, by layer name, of the kernels that a `.tflite` file can store as integers.

    These are the kernels on a symmetric grid of at most 8 bits with one scale per output channel.
    """
    return {
        name: encoding.bits
        for name, encoding in encodings.items()
        if isinstance(encoding, AffineEncoding)
        and encoding.zero_code is not None
        and encoding.bits <= 8
        and encoding.buckets.kind == 'channel'
    }


@formats.register(CONTAINER)
def _container(source: Source) -> bytes:
    return pack(source.model, source.encodings)


@formats.register(MIXED)
def _mixed(source: Source) -> bytes:
    if is_quantization_aware(source.model):
        return with_int4_weights(formats.get('int8')(source))
    bits = weight_bits(source.encodings)
    if not bits:
        raise PocketFlowError(
            f'model {source.model.name!r} cannot be exported as {MIXED}: no kernel of it is on a '
            'grid that a .tflite file can hold; train it with --learner=uniform --uql_symmetric'
        )
    return mixed_precision(source.convert(source.model, 'float32', None, source.pixels), bits)


def _tflite(file_format: str) -> Write:
    def write(source: Source) -> bytes:
        model, pixels = source.in_int8 if file_format == 'int8' else source.in_float
        return source.convert(model, file_format, source.calibration, pixels)

    return write


for _name in file_formats:
    formats.register(_name)(_tflite(_name))
