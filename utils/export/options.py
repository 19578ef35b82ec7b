"""What is exported, and how it is measured."""

from __future__ import annotations

import dataclasses

from utils.export.convert import file_formats
from utils.options import Options, option


@dataclasses.dataclass(frozen=True)
class ExportOptions(Options):
    """Formats, and the effort spent on measuring each file."""

    formats: str = option('export_formats', 'float32,float16,dynamic,int8', 'formats to export, separated by '
                          'commas; the verdict is on the first')
    num_eval: int | None = option('nb_smpls_export_eval', None, 'evaluation samples to run each file on; default: all',
                                  low=1)
    num_calibration: int = option('nb_smpls_calib', 500, 'training images that calibrate the int8 file', low=1)
    rounds: int = option('nb_repts', 100, 'timed runs of each file', low=1)
    warmup: int = option('nb_repts_warmup', 20, 'untimed runs before them', low=0)

    @property
    def names(self) -> tuple[str, ...]:
        """The formats in order, each once."""
        return tuple(dict.fromkeys(name.strip() for name in self.formats.split(',')))

    def check(self) -> None:
        for name in self.names:
            file_formats.get(name)
