"""Latencies measured on a device: a parser for the output of `benchmark_model` of TensorFlow Lite and LiteRT.

Versions of the tool differ in format and in the figures they print:

* `Average inference timings in us: Warmup: 76605.9, Init: 9933, no stats: 66767.6` (until 2019);
* `Inference timings in us: Init: 855, ..., Inference (avg): 33209.4`, after a line `count=50 first=32891 ...
  avg=33209.4 std=450` for the warm-up and another for the timed runs (newer ones end in `p5=... median=... p95=...`);
* `Inference (avg):      7430.20 ms (10 runs)` and, on lines of their own, min, max and std (LiteRT 2; that of its
  Python package also median, p5 and p95).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from pathlib import Path

from pocketflow.utils.errors import UsageError

FORM = 'FORMAT=FILE pairs separated by commas, as int8=bench_int8.txt,float32=bench_float32.txt'

_NUMBER = r'([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)'
_AVERAGES_US = (
    re.compile(rf'^.*Inference timings in us:.*Inference \(avg\): {_NUMBER}', re.MULTILINE),
    re.compile(rf'^.*Average inference timings in us:.*no stats: {_NUMBER}', re.MULTILINE),
)
_RUNS_US = re.compile(r'\bcount=[0-9]+ .*')
_FIELD_US = re.compile(rf'\b(\w+)={_NUMBER}')
_LINE_MS = re.compile(rf'Inference \((avg|min|max|std|median|p5|p95)\): +{_NUMBER}(?: ms)?(?: \(([0-9]+) runs\))?')
_NAMES = {'avg': 'mean', 'min': 'min', 'max': 'max', 'std': 'std', 'p5': 'p5', 'median': 'p50', 'p95': 'p95'}


def parse_benchmark(text: str) -> dict[str, float | int]:
    """Parses the time of one inference from the output of `benchmark_model`.

    Returns:
      Milliseconds as `mean` and, if the text has them, `min`, `max`, `std`, `p5`, `p50` and `p95`; and the number of
      timed runs as `count`. If the text has several results (as a log may), those of the last.

    Raises:
      UsageError: the text holds no result.
    """
    for read in (_timings_in_us, _results_in_ms):
        found = read(text)
        if found:
            return _checked(found)
    raise UsageError(
        'holds no result of benchmark_model: neither a line "Inference timings in us: ..." nor one '
        '"Inference (avg): ... ms"; give all that the tool printed'
    )


def _checked(found: dict[str, float | int]) -> dict[str, float | int]:
    """Checks that figures are finite (`1e999` is not) and the mean is positive; converts `count` to an integer."""
    for name, value in found.items():
        if not math.isfinite(value) or (name == 'mean' and value <= 0):
            raise UsageError(
                f'holds an invalid result of benchmark_model: {name} is {value}; give the unchanged output of the tool'
            )
    return {name: int(value) if name == 'count' else value for name, value in found.items()}


def read_device_latencies(spec: str, formats: Collection[str]) -> dict[str, dict[str, float | int]]:
    """Reads the files of `--device_latency`: latencies by export format.

    Args:
      spec: `FORMAT=FILE` pairs separated by commas.
      formats: the exported formats.

    Returns:
      The result of `parse_benchmark` for each format, in milliseconds.

    Raises:
      UsageError: the spec is not of that form, names a format twice or one that is not exported, or a file cannot be
        read or has no result.
    """
    latencies: dict[str, dict[str, float | int]] = {}
    for pair in filter(None, (part.strip() for part in spec.split(','))):
        file_format, sign, path = (part.strip() for part in pair.partition('='))
        if not (file_format and sign and path):
            raise UsageError(f"--device_latency={spec}: '{pair}' is not FORMAT=FILE; accepted: {FORM}")
        if file_format not in formats:
            raise UsageError(
                f"--device_latency={spec}: no file of the format '{file_format}' is exported; there are: "
                f'{", ".join(formats)}'
            )
        if file_format in latencies:
            raise UsageError(f'--device_latency={spec}: names {file_format} twice; give one file for each format')
        latencies[file_format] = _read(file_format, Path(path).expanduser())
    if not latencies:
        raise UsageError(f'--device_latency={spec}: names no file; accepted: {FORM}')
    return latencies


def _read(file_format: str, path: Path) -> dict[str, float | int]:
    flag = f'--device_latency: {file_format}={path}'
    try:
        return parse_benchmark(path.read_text(encoding='utf-8', errors='replace'))
    except OSError as error:
        raise UsageError(
            f'{flag}: cannot be read ({error.strerror}); give the text that benchmark_model printed on the device'
        ) from error
    except UsageError as error:
        raise UsageError(f'{flag}: {error}') from None


def _timings_in_us(text: str) -> dict[str, float | int]:
    """The last line of averages, with the fields of the last line of runs before it if the averages are equal."""
    matches = [match for pattern in _AVERAGES_US for match in pattern.finditer(text)]
    if not matches:
        return {}
    last = max(matches, key=lambda match: match.start())
    average = float(last[1])
    runs = _RUNS_US.findall(text[: last.start()])[-1:]
    fields = _run_fields(runs[0]) if runs else {}
    return {'mean': average / 1000} | (fields if fields.get('mean') in (None, average / 1000) else {})


def _run_fields(line: str) -> dict[str, float | int]:
    """Parses `count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450`; returns milliseconds.

    If all runs took equally long, the line is `count=50 curr=33000(all same)`, without most fields.
    """
    fields = dict(_FIELD_US.findall(line))
    named = {name: float(fields[key]) / 1000 for key, name in _NAMES.items() if key in fields}
    return {**named, 'count': float(fields['count'])}


def _results_in_ms(text: str) -> dict[str, float | int]:
    """The figures of the last `BENCHMARK RESULTS`, in milliseconds."""
    found: dict[str, float | int] = {}
    for key, value, count in _LINE_MS.findall(text):
        if key == 'avg':
            found = {'count': float(count)} if count else {}
        found[_NAMES[key]] = float(value)
    return found if 'mean' in found else {}
