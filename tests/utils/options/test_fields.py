from __future__ import annotations

import dataclasses

import pytest
from absl import flags

from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import (
    Options,
    define_flags,
    flag_lines,
    from_flags,
    indecisive_flags,
    option,
    superseded_flags,
    with_defaults,
)


@dataclasses.dataclass(frozen=True)
class Pruning(Options):
    """Made up for these tests."""

    ratio: float = option('prune_ratio', 0.5, 'share to remove', low=0, below=1)
    style: str = option('style', 'lasso', 'how', choices=('lasso', 'random'))
    warm: bool = option('warm', False, 'start from a plan')
    path: str | None = option('path', None, 'the plan')
    steps: int = option('steps', 3, 'how many', above=0)
    passes: int = option('passes', 1, 'how often', high=8)
    quiet: bool = option('quiet', False, 'say less', decides=False)

    def check(self) -> None:
        if self.warm and self.path is None:
            raise UsageError('--warm needs --path')


def parsed(*arguments: str, options_class: type[Options] = Pruning) -> Options:
    values = flags.FlagValues()
    define_flags(options_class, values)
    values(['program', *arguments])
    return from_flags(options_class, values)


def test_defaults_and_given_values():
    assert parsed() == Pruning(0.5, 'lasso', False, None, 3)
    assert parsed('--prune_ratio=0.9999').ratio == 0.9999
    given = parsed('--prune_ratio=0.25', '--warm', '--path=a b', '--style=random')
    assert given == Pruning(0.25, 'random', True, 'a b', 3)


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('--prune_ratio=1.3', r'--prune_ratio=1.3: must be a number >= 0 and < 1$'),
        ('--prune_ratio=1', r'--prune_ratio=1.0: must be a number >= 0 and < 1$'),
        ('--passes=9', r'--passes=9: must be a number <= 8$'),
        ('--prune_ratio=nan', r'--prune_ratio=nan: must be a number'),
        ('--style=best', r'--style=best: must be one of lasso, random'),
        ('--steps=0', r'--steps=0: must be a number > 0'),
        ('--warm', r'--warm needs --path'),
    ],
)
def test_wrong_values_name_flag_value_and_rule(argument, message):
    with pytest.raises(UsageError, match=message):
        parsed(argument)


def test_flag_lines_repeat_the_options():
    given = Pruning(ratio=0.25, warm=True, path='some where')
    assert parsed(*flag_lines([given])) == given
    assert '--warm=true' in flag_lines([given])


def test_flag_lines_leave_out_what_is_not_given():
    assert not any(line.startswith('--path') for line in flag_lines([Pruning()]))


def test_other_defaults_by_subclass():
    careful = with_defaults(Pruning, 'CarefulPruning', ratio=0.1)
    assert parsed(options_class=careful).ratio == 0.1
    assert Pruning().ratio == 0.5
    with pytest.raises(UsageError, match='prune_ratio=2'):
        careful(ratio=2.0)


def test_two_defaults_for_one_flag_are_a_mistake_of_ours():
    values = flags.FlagValues()
    define_flags(Pruning, values)
    with pytest.raises(ValueError, match='--prune_ratio is declared with two defaults: 0.5 and 0.1'):
        define_flags(with_defaults(Pruning, 'Other', ratio=0.1), values)


def test_what_does_not_decide_results_is_told_apart():
    assert '--quiet=true' in flag_lines([Pruning(quiet=True)])
    assert not any(line.startswith('--quiet') for line in flag_lines([Pruning(quiet=True)], decisive=True))
    assert indecisive_flags([Pruning]) == ['quiet']


@dataclasses.dataclass(frozen=True)
class Successor(Pruning):
    """What is left of options that were more."""

    superseded = {'old_rate': 'the solution is exact'}
    superseded_switches = {'old_haste': 'it is always fast'}


@pytest.mark.parametrize(
    'old', [('--old_haste',), ('--noold_haste',), ('--old_haste=true',), ('--old_rate=0.1',), ('--old_rate', '0.1')]
)
def test_superseded_flags_take_what_they_took_and_leave_the_next_flag_alone(old):
    assert parsed(*old, '--steps=7', options_class=Successor).steps == 7


def test_superseded_flags_of_several_options_with_their_reasons():
    assert superseded_flags([Pruning, Successor]) == {
        'old_rate': 'the solution is exact',
        'old_haste': 'it is always fast',
    }
