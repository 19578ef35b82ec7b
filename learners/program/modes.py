"""The execution modes: train, check, eval, export, benchmark."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from pocketflow.learners.abstract_learner import StageResult, describe
from pocketflow.learners.model_files import CONTAINER_NAME, CONTAINER_SUFFIX
from pocketflow.learners.program.baseline import BASELINE_FOLDER
from pocketflow.learners.program.benchmarking import benchmark_run
from pocketflow.learners.program.chains import starts_from_baseline
from pocketflow.learners.program.checking.check import check
from pocketflow.learners.program.config_record import CONFIG_FILE
from pocketflow.learners.program.exporting import Candidate, Exporter, refuse_failed_exports
from pocketflow.learners.program.input_files import record_inputs
from pocketflow.learners.program.invocation import Invocation, check_inputs
from pocketflow.learners.program.options import EXPORT_FLAGS, EXPORTS_GIVEN_MODEL, RUNS_CODE
from pocketflow.learners.program.pipeline import PipelineResult, load_fitting_model
from pocketflow.learners.program.zoo import DATA_FILE, recorded_data
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.options import ExportOptions
from pocketflow.utils.models.trust import has_run_code
from pocketflow.utils.quantization.encoding import kernel_statistics
from pocketflow.utils.quantization.int8 import plain_if_quantization_aware
from pocketflow.utils.reports import page as report_page
from pocketflow.utils.reports.layer_table import chained_rows
from pocketflow.utils.reports.lint import enforce_full_delegation
from pocketflow.utils.reports.report import SCHEMA, SHAPE, primary_metric, summary, upgraded
from pocketflow.utils.reports.search.figure import write_search_figure
from pocketflow.utils.reports.verdict import enforce, make_verdict, refuse_conditions, refuse_other_metric
from pocketflow.utils.runs.given_files import resolve_model_path
from pocketflow.utils.runs.log_file import log_file
from pocketflow.utils.runs.machine import machine, versions
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.runs.model_files import damaged_files, refuse_damaged
from pocketflow.utils.runs.records import DamagedRecordError, Record, read_record
from pocketflow.utils.runs.run_directory import REPORT, RunDirectory
from pocketflow.utils.system import atomic
from pocketflow.utils.system.paths import path_errors_reported
from pocketflow.utils.system.streams import say

EXPORT_ANEW = f"delete {REPORT} and give the run's own command again to have it written anew"
TIMED_PARTS = ('train', 'select', 'finetune', 'export')


@contextlib.contextmanager
def opened_run(
    invocation: Invocation, ignoring: Collection[str] = (), begins_from: Mapping[str, Path] | None = None
) -> Iterator[None]:
    """Locks the run directory and opens its log file within the block.

    Args:
      invocation: the call that uses the directory.
      ignoring: further flags that may differ from the recorded ones.
      begins_from: the input files by flag; a run is not continued with other files.
    """
    note = [RUNS_CODE] if has_run_code() else []
    invocation.run.acquire([*invocation.recorded_flags, *note], {*invocation.free_flags, *ignoring})
    try:
        record_data(invocation)
        invocation.helper.dataset.keep_index()
        record_inputs(invocation.run, begins_from or {})
        with invocation.run.temporary_folder(), log_file(invocation.run / 'log.txt'):
            logging.info('run directory: %s', invocation.run.path)
            yield
    finally:
        invocation.run.release()


def record_config(invocation: Invocation) -> None:
    """Writes the file that repeats the run, once; flags of a continued run that do not decide results may differ."""
    if not (invocation.run / CONFIG_FILE).exists():
        atomic.write_text(invocation.run / CONFIG_FILE, invocation.config)


def record_data(invocation: Invocation) -> None:
    """Records the fingerprint of the training data; rejects other data for an existing run."""
    run, found = invocation.run, invocation.helper.dataset.fingerprint()
    recorded = recorded_data(run.path)
    if recorded is not None and not recorded.isalnum():
        raise DamagedRecordError(f'{run / DATA_FILE}: damaged record; delete it if the training data are the same')
    if recorded is None:
        atomic.write_text(run / DATA_FILE, f'{found}\n')
    elif recorded != found:
        raise UsageError(
            f'--run_dir={run.path}: holds a run with other training data (fingerprint {recorded}, now '
            f'{found}); give the same data to continue it, or another --run_dir or --zoo_dir'
        )


def train(invocation: Invocation) -> None:
    """Obtains, compresses, fine-tunes, exports and reports; completed parts of an interrupted run are skipped.

    Only the primary worker uses the run directory; the others write to a temporary folder in it.
    """
    if not invocation.workers.is_primary:
        run_secondary_worker(invocation)
        return
    if not invocation.run.recorded_flags():
        with path_errors_reported():
            check_inputs(invocation)
    with opened_run(invocation, begins_from=invocation.named_files()):
        record_config(invocation)
        if is_finished(invocation):
            logging.info('this run was finished before; its report is shown again')
            warn_of_damage(invocation.run)
        else:
            write_report(invocation, _run_learners(invocation))
        show_report(invocation)


def is_finished(invocation: Invocation) -> bool:
    """Whether the primary has already written the report, on all workers; the primary must own the run directory."""
    return invocation.workers.share((invocation.run / REPORT).exists)


def run_secondary_worker(invocation: Invocation) -> None:
    """Runs the learners on a worker other than the primary, which may not share the primary's disk."""
    if is_finished(invocation):
        return
    with invocation.run.temporary_folder(invocation.workers.rank) as folder:
        _run_learners(dataclasses.replace(invocation, run=RunDirectory(folder)))
    with contextlib.suppress(OSError):
        invocation.run.path.rmdir()  # empty, unless the disk is shared with the primary


def warn_of_damage(run: RunDirectory) -> None:
    """Warns of missing or changed files of a finished run."""
    damaged = damaged_files(run.path, former_report(run))
    if damaged:
        logging.warning('%s: %s; %s', run.path, ', '.join(damaged), EXPORT_ANEW)


def _run_learners(invocation: Invocation) -> PipelineResult:
    with contextlib.closing(MetricsLog(invocation.run.path)) as log:
        return invocation.pipeline(log).run(invocation.learner_names)


def write_report(invocation: Invocation, result: PipelineResult) -> None:
    """Exports both models, measures the files, and writes `report.json` and `report.html`.

    An existing report keeps its command and the order of its formats; further formats are appended.
    """
    run, last, former = invocation.run, result.stages[-1], former_report(invocation.run)
    compressed = Candidate(result.model, run.path, result.metrics, last.encodings, result.head)
    is_compared = result.model is not result.baseline and starts_from_baseline(
        invocation.learner_names, invocation.shared
    )
    baseline = compressed
    if is_compared:
        baseline = Candidate(result.baseline, run / BASELINE_FOLDER, result.baseline_metrics, head=result.head)
    with run.timed('export'):
        options = invocation.export.as_before(former.get('files', {}))
        formats = formats_to_export(invocation, last.export_formats, former)
        learners = () if EXPORTS_GIVEN_MODEL in invocation.recorded_flags else invocation.learner_names
        exporter = Exporter(invocation.helper, options, run.path, learners=learners)
        measured = exporter.export(baseline, compressed, formats, result.reference_format, former)
    facts, task = invocation.helper.dataset.facts(), invocation.helper.task
    curves = [stage.curves for stage in result.stages if stage.curves is not None]
    report = {
        'schema': SCHEMA,
        'model': invocation.helper.model_name,
        'dataset': invocation.helper.dataset_name,
        'task': task.to_json(),
        'learners': list(invocation.learner_names),
        'seed': invocation.seed,
        **({'data': facts} if facts else {}),
        'command': former.get('command', invocation.command),
        'versions': versions(),
        'machine': machine(),
        **measured,
        'stages': [stage_entry(stage) for stage in result.stages],
        'layers': chained_rows(stage.layers for stage in result.stages),
        'searches': list(result.searches),
        **({'curves': curves} if curves else {}),
        'seconds': {**dict.fromkeys(TIMED_PARTS, 0.0), **run.seconds()},
        'verdict': None
        if baseline is compressed
        else make_verdict(measured['baseline'], measured['compressed'], task.primary),
    }
    for number, entry in enumerate(report['searches'], start=1):
        write_search_figure(entry, run / f'search{"" if number == 1 else f"_{number}"}.png')
    report_page.write_page(report, run / 'report.html')
    atomic.write_json(run / REPORT, report)


def former_report(run: RunDirectory) -> dict[str, Any]:
    """The existing report in a run directory, empty if there is none."""
    return read_record(run / REPORT, SHAPE, EXPORT_ANEW, upgraded) or {}


def formats_to_export(invocation: Invocation, default: Sequence[str], former: Record) -> tuple[str, ...]:
    """Formats to export: those of the run's flags, those in its report, and those requested now, without duplicates.

    Args:
      invocation: a call that owns its run directory.
      default: formats of a run without --export_formats.
      former: the existing report.
    """
    begin = '--export_formats='
    recorded = [line.removeprefix(begin) for line in invocation.run.recorded_flags() if line.startswith(begin)]
    own = ExportOptions(formats=recorded[0]).names if recorded else default
    return tuple(
        dict.fromkeys([*own, *(item['format'] for item in former.get('exports', ())), *invocation.export.names])
    )


def stage_entry(stage: StageResult) -> dict[str, Any]:
    """The report's entry on one stage."""
    widths = {row['layer']: row['bits'][1] for row in stage.layers if 'bits' in row}
    kernels = kernel_statistics(plain_if_quantization_aware(stage.model), widths)
    return {
        'learner': stage.name,
        'metrics_compressed': stage.metrics_compressed,
        'metrics': stage.metrics,
        'parameters': total_parameters(stage.model),
        'macs': total_macs(stage.model),
        'sparsity': round(kernels.sparsity, 6),
        'bits': round(kernels.bits, 4),
    }


def show_report(invocation: Invocation) -> None:
    """Tells the summary of the report; a verdict that fails the given conditions raises an error."""
    report = former_report(invocation.run)
    invocation.tell(f'\nreport: {invocation.run / "report.html"}\n\n{summary(report)}')
    refuse_failed_exports(report.get('failed_exports', ()))
    refuse_other_metric(invocation.verdict, primary_metric(report))
    enforce(report['verdict'], invocation.verdict)
    enforce_full_delegation(report['exports'], invocation.lint.require_full_delegation)


def evaluate_model(invocation: Invocation) -> None:
    """Evaluates a finished run's model, or the one at `--save_path`, on the evaluation set."""
    path = model_to_evaluate(invocation)
    model = load_fitting_model(path, invocation.helper, invocation.reader)
    metrics = invocation.helper.evaluate(model)
    invocation.helper.warn_of_poor(model, metrics)
    say(
        f'model: {path.resolve()}\n{invocation.helper.model_name} at {invocation.helper.dataset_name}: '
        f'{describe(metrics)}'
    )


def export_model(invocation: Invocation) -> None:
    """Exports a finished run's models in further formats, or in a new run directory the model at `--save_path`.

    All files are measured, including existing ones. The model is a `.keras` file or a container.
    """
    recorded = invocation.run.recorded_flags()
    if EXPORTS_GIVEN_MODEL in recorded or (invocation.shared.save_path is not None and not recorded):
        export_given_model(invocation)
        return
    finished_model(invocation)
    with opened_run(invocation, ignoring=EXPORT_FLAGS):
        write_report(invocation, _run_learners(invocation))
        show_report(invocation)


def export_given_model(invocation: Invocation) -> None:
    """Exports the model at `--save_path` unchanged, into its own directory."""
    refuse_conditions(invocation.verdict, 'the model at --save_path is exported as it is')
    invocation = dataclasses.replace(
        invocation, learner_names=('export',), recorded_flags=(*invocation.recorded_flags, EXPORTS_GIVEN_MODEL)
    )
    result = invocation.pipeline(log=None).given_model(given_model_file(invocation))
    with opened_run(invocation, ignoring=EXPORT_FLAGS, begins_from=invocation.named_files()):
        write_report(invocation, result)
        show_report(invocation)


def given_model_file(invocation: Invocation) -> Path:
    """The file at `--save_path`, or the copy in the run directory if it was exported before."""
    given = invocation.shared.save_path
    assert given is not None, 'only such a command exports without a run'
    kept = invocation.run / (CONTAINER_NAME if given.endswith(CONTAINER_SUFFIX) else 'model.keras')
    return kept if invocation.run.recorded_flags() and kept.is_file() else resolve_model_path(given, '--save_path')


def benchmark(invocation: Invocation) -> None:
    """Times the `.tflite` files of a finished run."""
    benchmark_run(invocation, finished_model(invocation))


def model_to_evaluate(invocation: Invocation) -> Path:
    """The finished run's model, or that of a `--save_path` that differs from the run's recorded one."""
    given = invocation.shared.save_path
    if given is not None and f'--save_path={given}' not in invocation.run.recorded_flags():
        return resolve_model_path(given, '--save_path')
    return finished_model(invocation)


def finished_model(invocation: Invocation) -> Path:
    """The model file of a finished run."""
    path, is_finished_run = invocation.run / 'model.keras', (invocation.run / REPORT).is_file()
    if not path.is_file() and not is_finished_run:
        raise UsageError(f'no finished model at {path}; give --run_dir=DIRECTORY of a finished run')
    refuse_damaged(path, EXPORT_ANEW)
    return path


EXEC_MODES: dict[str, Callable[[Invocation], None]] = {
    'train': train,
    'check': check,
    'eval': evaluate_model,
    'export': export_model,
    'benchmark': benchmark,
}
