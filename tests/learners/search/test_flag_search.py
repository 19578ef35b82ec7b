"""The search over flags: what may be searched, what trials run with, and what the stages then run with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.abstract_learner import LearnerContext, LearnerOptions
from pocketflow.learners.options import LEARNERS
from pocketflow.learners.search.flag_search import FlagSearch, refuse_nested
from pocketflow.learners.search.plan_search import read_record
from pocketflow.learners.uniform_quantization.learner import UniformQuantizationOptions
from pocketflow.learners.weight_sparsification.learner import WeightSparseOptions
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import Options, option
from pocketflow.utils.training.trainer import DivergedError
from tests.learners.search.conftest import tiny_context

SPACE = """
parameters:
  fake_begin: {type: float, low: 0, high: 1}
  fake_end: {type: float, low: 0, high: 1}
  fake_count: {type: int, low: 1, high: 9}
  lrn_rate_rat_ft: {type: log10, low: 0.01, high: 1}
constraints:
  - fake_end >= fake_begin
"""


@dataclasses.dataclass(frozen=True)
class FakeOptions(Options):
    """Two times in order, and a count."""

    begin: float = option('fake_begin', 0.1, 'begin', low=0, high=1)
    end: float = option('fake_end', 0.5, 'end', low=0, high=1)
    count: int = option('fake_count', 3, 'count', low=1)

    def check(self) -> None:
        if self.begin > self.end:
            raise UsageError('begins after its end')


class FakeLearner:
    """Hands on a number that tells how good its options are."""

    tried: list[tuple[LearnerContext, FakeOptions]] = []
    dies_at: int | None = None

    def __init__(self, context: LearnerContext, options: FakeOptions):
        self.context, self.options = context, options

    def try_out(self, model: float) -> float:
        if len(self.tried) == self.dies_at:
            raise KeyboardInterrupt
        self.tried.append((self.context, self.options))
        if self.options.count == 9:
            raise DivergedError('diverged')
        return model - (self.options.begin - 0.2) ** 2 - (self.options.end - 0.9) ** 2


@pytest.fixture(autouse=True)
def _fake(monkeypatch):
    """A learner that needs no training, and an evaluation that takes its number."""
    monkeypatch.setattr(LEARNERS, '_entries', dict(LEARNERS._entries))
    LEARNERS.register('fake')(FakeLearner)
    monkeypatch.setattr(FakeLearner, 'tried', [])
    monkeypatch.setattr(AbstractModelHelper, 'evaluate', lambda helper, model, held_out: {'accuracy': model})


def searching(
    folder: Path, space: str = SPACE, options: Options | None = None, name: str = 'fake', **search
) -> FlagSearch:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / 'space.yaml').write_text(space)
    search_options = SearchOptions(
        space=str(folder / 'space.yaml'), **{'num_trials': 12, 'optimizer': 'random', 'num_epochs': 0.5, **search}
    )
    return FlagSearch(tiny_context(folder / 'run', search_options), [name], {name: options or FakeOptions()})


def test_all_trials_keep_the_constraint_and_their_types(tmp_path):
    searching(tmp_path).run(1.0)
    assert len(FakeLearner.tried) == 12 + 5
    for context, options in FakeLearner.tried:
        assert 0 <= options.begin <= options.end <= 1 and isinstance(options.count, int) and 1 <= options.count <= 9
        assert 0.01 <= context.learner_options.rate_factor_finetune <= 1
    assert len({options.begin for _, options in FakeLearner.tried[:12]}) == 12


def test_the_winner_is_what_the_stages_run_with(tmp_path):
    learner_options, shared = searching(tmp_path).run(1.0)
    record = read_record(tmp_path / 'run' / 'search')
    chosen = learner_options['fake']
    assert (
        record['chosen']
        == record['flags']
        == {
            'fake_begin': chosen.begin,
            'fake_end': chosen.end,
            'fake_count': chosen.count,
            'lrn_rate_rat_ft': shared.rate_factor_finetune,
        }
    )
    best = max(record['verified'], key=lambda entry: entry['reward'])
    assert record['winner'] == best['source'] and record['chosen'] == best['values']
    assert best['reward'] == pytest.approx(1 - (chosen.begin - 0.2) ** 2 - (chosen.end - 0.9) ** 2)
    assert (record['searched'], record['learner'], record['budget'], record['layers']) == ('flags', 'fake', None, [])
    assert shared.epochs_ratio_finetune == 1 / 30  # of the given ones


def test_trials_are_short_and_others_longer(tmp_path):
    searching(tmp_path, verify_factor=3.0).run(1.0)
    epochs = [context.num_epochs for context, _ in FakeLearner.tried]
    assert epochs == [0.5] * 12 + [1.5] * 5
    assert all(context.log is None and not context.folder.exists() for context, _ in FakeLearner.tried)


def test_training_that_diverges_is_a_trial_without_reward(tmp_path):
    space = 'parameters:\n  fake_count: {type: int, low: 8, high: 9}\n'
    searching(tmp_path, space, num_trials=6).run(1.0)
    record = read_record(tmp_path / 'run' / 'search')
    for trial in record['trials']:
        assert (trial['reward'] is None) == (trial['values']['fake_count'] == 9)
    assert {trial['values']['fake_count'] for trial in record['trials']} == {8, 9}


def test_killed_and_continued_is_as_good_as_never_stopped(tmp_path, monkeypatch):
    def found(name: str) -> tuple[Options, float]:
        learner_options, shared = searching(tmp_path / name).run(1.0)
        return learner_options['fake'], shared.rate_factor_finetune

    whole = found('whole')
    tried = [options for _, options in FakeLearner.tried]
    FakeLearner.tried.clear()
    monkeypatch.setattr(FakeLearner, 'dies_at', 5)
    with pytest.raises(KeyboardInterrupt):
        found('killed')
    monkeypatch.setattr(FakeLearner, 'dies_at', None)
    assert found('killed') == whole
    assert [options for _, options in FakeLearner.tried] == tried
    FakeLearner.tried.clear()
    assert found('killed') == whole and not FakeLearner.tried


def test_other_epochs_or_options_are_another_search(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeLearner, 'dies_at', 2)
    with pytest.raises(KeyboardInterrupt):
        searching(tmp_path).run(1.0)
    for change in ({'num_epochs': 0.7}, {'options': FakeOptions(count=4)}):
        with pytest.raises(UsageError, match='is the journal of another search'):
            searching(tmp_path, **change).run(1.0)


REAL = 'parameters:\n  {flag}: {{type: int, low: 1, high: 20}}\n'


def test_a_typo_is_named_with_what_there_is(tmp_path):
    with pytest.raises(
        UsageError,
        match=r"^--hpo_space=.*space.yaml: unknown flag 'ws_update_mask_step'; flags that "
        r'can be searched: .*loss_w_dcy_rat_ft, lrn_rate_rat_ft, .*'
        r'ws_mask_update_step, ',
    ):
        searching(
            tmp_path, REAL.format(flag='ws_update_mask_step'), WeightSparseOptions(protocol='uniform'), 'weight-sparse'
        )
    right = searching(
        tmp_path, REAL.format(flag='ws_mask_update_step'), WeightSparseOptions(protocol='uniform'), 'weight-sparse'
    )
    assert right.flags.options({'ws_mask_update_step': 7})[0]['weight-sparse'].update_step == 7


@pytest.mark.parametrize('flag', ['save_path', 'nb_epochs_rat_ft', 'enbl_warm_start', 'zoo_dir'])
def test_what_all_share_is_searched_only_where_it_makes_sense(tmp_path, flag):
    with pytest.raises(UsageError, match=f"unknown flag '{flag}'"):
        searching(tmp_path, REAL.format(flag=flag))


@pytest.mark.parametrize(
    ('name', 'options', 'flag'),
    [
        ('weight-sparse', WeightSparseOptions(protocol='optimal'), '--ws_prune_ratio_prtl=uniform'),
        ('uniform', UniformQuantizationOptions(enbl_search=True), '--nouql_enbl_rl_agent'),
    ],
)
def test_searches_within_trials_are_refused(tmp_path, name, options, flag):
    with pytest.raises(
        UsageError,
        match=f'^--hpo_space: {name} would search its values per layer within every trial; '
        f'give it a fixed rule by {flag}, or drop ',
    ):
        searching(tmp_path, 'parameters:\n  lrn_rate_rat_ft: {type: log10, low: 0.01, high: 1}\n', options, name)
    refuse_nested({'weight-sparse': WeightSparseOptions(protocol='heurist'), 'fake': FakeOptions()})


@pytest.mark.parametrize(
    ('space', 'message'),
    [
        ('fake_begin: {type: float, low: 0, high: 2}', '--fake_begin=2.0: must be a number >= 0 and <= 1$'),
        ('fake_begin: {type: float, low: 0, high: 1}', 'begins after its end'),  # the end stays at 0.5
        ('fake_count: {choice: [1, 0, 3]}', '--fake_count=0: must be a number >= 1$'),
    ],
)
def test_values_that_would_end_the_search_are_refused_before_it_begins(tmp_path, space, message):
    with pytest.raises(UsageError, match=f'^--hpo_space=.*space.yaml: holds invalid values: .*{message}'):
        searching(tmp_path, f'parameters:\n  {space}\n')


def test_choices_that_would_search_within_trials_are_refused(tmp_path):
    with pytest.raises(UsageError, match='^--hpo_space=.*: holds invalid values: weight-sparse would search'):
        searching(
            tmp_path,
            'parameters:\n  ws_prune_ratio_prtl: {choice: [uniform, heurist, optimal]}\n',
            WeightSparseOptions(protocol='uniform'),
            'weight-sparse',
        )


def test_shared_options_can_be_searched_for_any_learner(tmp_path):
    one = searching(tmp_path, 'parameters:\n  loss_w_dcy_rat_ft: {type: float, low: 0, high: 1}\n')
    _, shared = one.flags.options({'loss_w_dcy_rat_ft': 0.25})
    assert shared == one.context.learner_options.replace(decay_factor_finetune=0.25)
    assert isinstance(shared, LearnerOptions)


def test_epochs_of_quantization_are_not_searched_since_trials_would_not_follow(tmp_path):
    space = 'parameters: {uql_quant_epochs: {type: float, low: 1, high: 9}}'
    with pytest.raises(UsageError, match='uql_quant_epochs'):
        searching(tmp_path, space, UniformQuantizationOptions(), 'uniform')


def test_a_search_goes_on_with_another_zoo_but_not_with_other_training(tmp_path):
    def again(**changes) -> FlagSearch:
        search = searching(tmp_path)
        shared = search.context.learner_options.replace(**changes)
        search = FlagSearch(
            dataclasses.replace(search.context, learner_options=shared), search.names, {'fake': FakeOptions()}
        )
        (tmp_path / 'run' / 'search' / 'search.json').unlink(missing_ok=True)
        return search

    again().run(1.0)
    again(zoo_dir='elsewhere').run(1.0)
    assert len(FakeLearner.tried) == 12 + 5
    with pytest.raises(UsageError, match='journal of another search'):
        again(decay_factor_finetune=0.7).run(1.0)


@pytest.mark.parametrize(
    'options, tried', [(FakeOptions(begin=0.2, end=0.9, count=3), True), (FakeOptions(count=20), False)]
)
def test_what_the_command_line_gives_is_verified_too_where_the_space_holds_it(options, tried, tmp_path):
    chosen, shared = searching(tmp_path, options=options).run(1.0)
    record = read_record(tmp_path / 'run' / 'search')
    assert ('as given' in [entry['source'] for entry in record['verified']]) is tried
    if tried:
        assert record['winner'] == 'as given' and chosen['fake'] == options
        assert shared.rate_factor_finetune == LearnerOptions().rate_factor_finetune
        assert record['verified'][-1]['trial'] is None
