"""Options of the export and of the measurement of files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from pocketflow.utils.export.format_names import formats as known_formats
from pocketflow.utils.options import Options, option

GIVEN, LOGITS = 'given', 'logits'
"""Values of `--export_head`."""
NORMALISED, UINT8 = 'normalised', 'uint8'
"""Values of `--export_input`."""
INT8, FLOAT32 = 'int8', 'float32'
"""Values of `--int8_io`."""


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
    head: str | None = option(
        'export_head',
        None,
        'what exported files end with; given: the softmax or sigmoid of the original network, if it has one; '
        'logits: nothing; default: given, or as the files of the run have it',
        choices=(GIVEN, LOGITS),
    )
    input: str | None = option(
        'export_input',
        None,
        'what exported files take; normalised: images as in training; uint8: pixels from 0 to 255, with the '
        'normalisation in the file; default: normalised, or as the files of the run have it',
        choices=(NORMALISED, UINT8),
    )
    int8_io: str | None = option(
        'int8_io',
        None,
        'what the int8 file takes and returns; int8: integer codes (of uint8 pixels with --export_input=uint8); '
        'float32: values, which the file itself converts; default: int8, or as the file of the run has it',
        choices=(INT8, FLOAT32),
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
    rewrite_for: str | None = option(
        'rewrite_for',
        None,
        'write layers in an equivalent form that this accelerator runs: concatenations of more than four inputs, means '
        'over sequences, layer normalization within float16',
        choices=('gpu',),
    )
    description: str | None = option(
        'export_description',
        None,
        'description in the files; default: network, data set, learners and what was measured',
    )
    version: str | None = option('export_version', None, 'version of the network, for its files')
    author: str | None = option('export_author', None, 'author of the network, for its files')
    license: str | None = option('export_license', None, 'license of the network, for its files: a name or a text')
    time_limit: float = option(
        'export_time_limit',
        3600.0,
        'seconds for the conversion of a file, and for its run on all evaluation samples; a file that takes longer is '
        'left out',
        above=0,
        decides=False,
    )
    memory_limit: float | None = option(
        'export_memory_limit',
        None,
        'GB of memory for the process that converts and runs files; a file that takes more is left out; default: '
        '90 % of what is available',
        above=0,
        decides=False,
    )
    device_latency: str | None = option(
        'device_latency',
        None,
        'output of benchmark_model on a device, for the report: FORMAT=FILE pairs separated by commas',
        decides=False,
        needs='exec_mode=export',
    )

    def as_before(self, former: Mapping[str, str]) -> ExportOptions:
        """These options; what is not given of input, head and int8_io is that of the report's former entry `files`."""
        return self.replace(
            head=self.head or former.get('head', GIVEN),
            input=self.input or former.get('input', NORMALISED),
            int8_io=self.int8_io or former.get('int8_io', INT8),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The formats in order, each once; none if they were not given."""
        given = [] if self.formats is None else self.formats.split(',')
        return tuple(dict.fromkeys(name.strip() for name in given))

    def check(self) -> None:
        for name in self.names:
            known_formats.check(name)
