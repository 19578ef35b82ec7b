"""Every learner and every mode on networks of each task, and of several inputs or outputs.

The pairs are those of examples/tasks_at_digits.py; the metric of `ink`, a regression, is better when smaller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from pocketflow.nets import PAIRS
from tests.conftest import PACKED, Outcome, run_main

HELPER = Path(__file__).parents[2] / 'examples/tasks_at_digits.py'
MODELS = ('ink', 'traits', 'two_inputs', 'two_outputs')
EPOCHS = '--nb_epochs_rat=0.03'
MEASURING = ('--nb_repts=5', '--nb_repts_warmup=1', '--nb_smpls_calib=40', '--nb_smpls_export_eval=100')
EXPORTED_AGAIN = ('ink', 'two_outputs')
"""A metric that is better when smaller, and a nested structure; the export of all four is that of the chain."""
CHAIN = (
    '--nb_epochs_rat_ft=0.02',
    '--learner=chn-pruned-rmt,weight-sparse,uniform-tf',
    '--cpr_nb_smpls=100',
    '--ws_prune_ratio=0.3',
    '--ws_prune_ratio_prtl=uniform',
    '--uqtf_nb_smpls=60',
    '--enbl_dst',
)


@pytest.fixture(scope='module', autouse=True)
def _pairs_of_the_example() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PAIRS, '_entries', dict(PAIRS._entries))
        yield


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Outcome]:
    """Runs the program on a pair of the example; the trained network of each pair is shared."""
    folder = tmp_path_factory.mktemp('tasks')

    def of(model: str, name: str, *arguments: str) -> tuple[Outcome, Path]:
        outcome = run_main(
            f'--model_helper={HELPER}',
            f'--model={model}',
            '--dataset=digits',
            EPOCHS,
            *MEASURING,
            f'--zoo_dir={folder}/zoo',
            f'--run_dir={folder}/{model}_{name}',
            *arguments,
        )
        assert outcome.code == 0, outcome.err
        return outcome, folder / f'{model}_{name}'

    return of


@pytest.fixture(scope='module')
def chained(run) -> Callable[[str], Path]:
    """The finished run of a chain of learners, with distillation."""
    found: dict[str, Path] = {}

    def of(model: str) -> Path:
        if model not in found:
            _, found[model] = run(model, 'chain', *CHAIN, '--export_formats=int8')
        return found[model]

    return of


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / 'report.json').read_text())


def pair(model: str) -> Any:
    helper_class = PAIRS.get(f'{model}_at_digits')
    return helper_class(
        helper_class.net_options_class(), helper_class.dataset_class(helper_class.dataset_class.options_class())
    )


def plain_litert(path: Path, images: Any) -> dict[str, np.ndarray]:
    """Outputs of a file by name, by LiteRT alone, one image at a time."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    named = images if isinstance(images, dict) else dict.fromkeys(inputs, images)
    results: dict[str, list[np.ndarray]] = {name: [] for name in outputs}
    for number in range(len(next(iter(named.values())))):
        feed = {}
        for name, array in named.items():
            scale, zero = inputs[name]['quantization']
            values = array[number : number + 1]
            if inputs[name]['dtype'] == np.int8:
                values = np.clip(np.round(values / np.float32(scale)) + zero, -128, 127).astype(np.int8)
            feed[name] = values
        for name, values in runner(**feed).items():
            scale, zero = outputs[name]['quantization']
            is_int8 = values.dtype == np.int8
            results[name].append((values.astype(np.float32) - zero) * np.float32(scale) if is_int8 else values)
    return {name: np.concatenate(parts) for name, parts in results.items()}


def own_metric(model: str, outputs: dict[str, np.ndarray], labels: Any) -> float:
    """The primary metric, computed here."""
    values = outputs.get('digit', next(iter(outputs.values())))
    if model == 'ink':
        return float(np.abs(values - labels).mean())
    if model == 'traits':
        positives = labels.astype(bool)
        precisions = []
        for scores, wanted in zip(values.T, positives.T, strict=True):
            ranks = [int(np.sum(scores >= score)) for score in scores[wanted]]
            hits = [int(np.sum(scores[wanted] >= score)) for score in scores[wanted]]
            precisions.append(np.mean(np.array(hits) / ranks))
        return float(np.mean(precisions))
    return float(np.mean(values.argmax(-1) == (labels['digit'] if isinstance(labels, dict) else labels)))


@pytest.mark.parametrize('model', MODELS)
def test_the_report_of_a_chain_is_what_the_file_computes(model, chained):
    folder = chained(model)
    report, helper = report_of(folder), pair(model)
    name = helper.task.primary.name
    assert report['task'] == helper.task.to_json()
    assert report['compressed']['macs'] < report['baseline']['macs']
    assert report['compressed']['file_bytes'] < report['baseline']['file_bytes']
    images, labels = next(iter(helper.build_dataset_eval().unbatch().batch(100).as_numpy_iterator()))
    found = own_metric(model, plain_litert(folder / 'model_int8.tflite', images), labels)
    assert found == pytest.approx(report['exports'][0]['metrics'][name], abs=1e-4)
    drop = report['baseline']['file_metrics'][name] - report['exports'][0]['metrics'][name]
    expected = drop if helper.task.primary.higher_is_better else -drop
    assert report['verdict']['metric_drop'] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('model', MODELS)
def test_every_mode_works_on_the_run(model, chained, run):
    folder = chained(model)
    metric = pair(model).task.primary
    outcome, _ = run(model, 'chain', *CHAIN, '--exec_mode=eval')
    assert f' {metric.name} ' in outcome.last_line
    if model in EXPORTED_AGAIN:
        outcome, _ = run(model, 'chain', *CHAIN, '--exec_mode=export', '--export_formats=int8')
        assert metric.label in outcome.out and 'verdict: ' in outcome.last_line
    outcome, _ = run(model, 'chain', *CHAIN, '--exec_mode=benchmark')
    assert 'model_int8.tflite' in outcome.out
    page = (folder / 'report.html').read_text()
    assert metric.label in page and ('accuracy' in page) == ('accuracy' in metric.name)


@pytest.mark.parametrize(
    ('model', 'learners'),
    [
        ('ink', 'chn-pruned-rmt'),
        ('traits', 'weight-sparse'),
        ('two_inputs', 'chn-pruned-rmt,uniform-tf'),
        ('two_outputs', 'uniform'),
    ],
)
def test_a_run_is_checked(model, learners, run):
    options = {
        'chn-pruned-rmt': '--cpr_nb_smpls=100',
        'weight-sparse': '--ws_prune_ratio_prtl=uniform',
        'uniform': '--uql_quant_epochs=0.5',
    }
    given = [option for name, option in options.items() if name in learners.split(',')]
    outcome, folder = run(
        model, 'checked', f'--learner={learners}', *given, '--export_formats=int8', '--exec_mode=check'
    )
    record = json.loads((folder / 'check.json').read_text())
    assert record['passes'] and 'the run can start' in outcome.out
    assert [stage['is_measured'] for stage in record['stages']] == [True] * len(record['stages'])
    assert len(record['data']['drawn']) == 3 and record['trial_export']['exports'][0]['format'] == 'int8'
    assert sorted(path.name for path in folder.iterdir()) == ['check.html', 'check.json']


@pytest.mark.parametrize(
    ('model', 'learner'),
    [('ink', 'uniform'), ('traits', 'non-uniform'), ('two_inputs', 'uniform'), ('two_outputs', 'non-uniform')],
)
def test_bits_and_containers(model, learner, run):
    prefix = 'uql' if learner == 'uniform' else 'nuql'
    _, folder = run(
        model, learner, f'--learner={learner}', f'--{prefix}_quant_epochs=0.5', '--export_formats=pfz,float32'
    )
    report = report_of(folder)
    assert [item['format'] for item in report['exports']] == ['pfz', 'float32']
    assert report['exports'][0]['max_abs_diff'] == 0 and report['verdict']['size_ratio'] > 2


@pytest.mark.parametrize(('model', 'options'), [('two_inputs', ()), ('two_outputs', ('--ptq_weight_bits=4',))])
def test_quantization_after_training(model, options, run):
    given = ('--learner=post-training', '--ptq_nb_smpls=60', '--ptq_nb_iters=20', *options)
    _, folder = run(model, 'quantized', *given, '--export_formats=int8')
    report, helper = report_of(folder), pair(model)
    images, labels = next(iter(helper.build_dataset_eval().unbatch().batch(100).as_numpy_iterator()))
    found = own_metric(model, plain_litert(folder / 'model_int8.tflite', images), labels)
    assert found == pytest.approx(report['exports'][0]['metrics'][helper.task.primary.name], abs=1e-4)
    assert report['exports'][0]['relative_max_abs_diff'] < 0.05


def test_a_search_takes_smaller_as_better(run):
    _, folder = run(
        'ink',
        'search',
        '--learner=weight-sparse',
        '--ws_prune_ratio=0.5',
        '--ws_prune_ratio_prtl=optimal',
        '--nb_epochs_rat_ft=0.02',
        '--hp_optimizer=random',
        '--ws_nb_rlouts=4',
        '--ws_nb_iters_ft=5',
        '--ws_nb_iters_feval=1',
        PACKED,
    )
    (search,) = report_of(folder)['searches']
    rewards = {item['source']: item['reward'] for item in search['verified'] if item['reward'] is not None}
    assert search['winner'] == max(rewards, key=rewards.get) and all(reward < 0 for reward in rewards.values())


def test_conditions_on_the_metric_of_the_task(run, chained):
    folder = chained('ink')
    drop = report_of(folder)['verdict']['metric_drop']
    arguments = (
        f'--model_helper={HELPER}',
        '--model=ink',
        '--dataset=digits',
        EPOCHS,
        *MEASURING,
        *CHAIN,
        '--export_formats=int8',
        f'--zoo_dir={folder.parent}/zoo',
        f'--run_dir={folder}',
    )
    refused = run_main(*arguments, '--max_accuracy_drop=0.1')
    assert refused.code == 2 and 'the metric of this task is mean absolute error; give --max_metric_drop' in refused.err
    judged = run_main(*arguments, f'--max_metric_drop={max(drop, 0) / 2}')
    assert judged.code == (1 if drop > 0 else 0), judged.err
    assert ('does not meet --max_metric_drop=' in judged.err) == (drop > 0)
    assert run_main(*arguments, f'--max_metric_drop={abs(drop) + 1}').code == 0
