"""Options of the export and of the measurement of files."""

from __future__ import annotations

import dataclasses

from pocketflow.utils.export.format_names import formats as known_formats
from pocketflow.utils.options import Options, option


@dataclasses.dataclass(frozen=True)
class ExportOptions(Options):
    """Export formats, and numbers of samples and runs for measuring each file."""

    formats: str | None = option(
        'export_formats',
        None,
        'formats to export, separated by commas: '
        + ', '.join(known_formats)
        + '; the verdict is on the first; default: depends on the '
        'learner',
    )
    num_eval: int | None = option(
        'nb_smpls_export_eval', None, 'evaluation samples to run each file on; default: all', low=1
    )
    num_calibration: int = option('nb_smpls_calib', 500, 'training images that calibrate the int8 file', low=1)
    rounds: int = option(
        'nb_repts',
        100,
        'least number of timed runs of each file; up to ten times as many, for a few seconds, '
        'until the interval of its speed-up is narrow',
        low=1,
    )
    warmup: int = option('nb_repts_warmup', 20, 'untimed runs before the timed ones', low=0)
    device_latency: str | None = option(
        'device_latency',
        None,
        'output of benchmark_model on a device, for the report: FORMAT=FILE pairs separated by commas',
        decides=False,
        needs='exec_mode=export',
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The formats in order, each once; none if they were not given."""
        given = [] if self.formats is None else self.formats.split(',')
        return tuple(dict.fromkeys(name.strip() for name in given))

    def check(self) -> None:
        for name in self.names:
            known_formats.check(name)
