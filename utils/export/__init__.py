"""From a finished Keras model to files, and to figures that are measured on those files.

Files are written by `export_files` (in one of `formats`) and measured by `measure_files` (of `LiteRtRunner`,
`agreement` and `time_alternating`).
"""

from pocketflow.utils.export.agreement import Agreement, agreement
from pocketflow.utils.export.convert import convert, file_formats
from pocketflow.utils.export.formats import Source, formats
from pocketflow.utils.export.latency import Latency, Timing, percentiles, time_alternating
from pocketflow.utils.export.measure import Evaluation, ExportRecord, FileUnderTest, export_files, measure_files
from pocketflow.utils.export.operators import new_operators, operators
from pocketflow.utils.export.runner import LiteRtRunner

__all__ = [
    'Agreement',
    'Evaluation',
    'ExportRecord',
    'FileUnderTest',
    'Latency',
    'LiteRtRunner',
    'Source',
    'Timing',
    'agreement',
    'convert',
    'export_files',
    'file_formats',
    'formats',
    'measure_files',
    'new_operators',
    'operators',
    'percentiles',
    'time_alternating',
]
