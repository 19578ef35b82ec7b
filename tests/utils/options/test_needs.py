"""Flags that others leave without effect, on made-up options."""

from __future__ import annotations

import dataclasses

import pytest
from absl import flags

from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import (
    Options,
    define_flags,
    dependence,
    flag_lines,
    from_flags,
    help_text,
    option,
    option_fields,
)
from pocketflow.utils.options.needs import argument, flags_in_effect, refuse_idle_flags, refuse_replaced_flags


@dataclasses.dataclass(frozen=True)
class BakingOptions(Options):
    """Made up for these tests."""

    method: str = option('method', 'steam', 'how', choices=('steam', 'bake'))
    fan: bool = option('fan', False, 'blow', needs='method=bake')
    recipe: str | None = option('recipe', None, 'what the book says')
    page: int = option('page', 1, 'where', needs='recipe')
    minutes: float = option('minutes', 30.0, 'how long', low=0, unless='recipe')
    degrees: int = option('degrees', 180, 'how hot', needs='method=bake', unless='recipe fan')
    crust: bool = option('crust', True, 'brown it')
    shine: float = option('shine', 0.5, 'how brown', needs='crust')


@dataclasses.dataclass(frozen=True)
class OvenOptions(Options):
    """All of them are about ovens."""

    needs = 'method=bake'

    rack: int = option('rack', 2, 'how high')


def parsed(*arguments: str) -> flags.FlagValues:
    values = flags.FlagValues()
    for options_class in (BakingOptions, OvenOptions):
        define_flags(options_class, values)
    values(['program', *arguments])
    return values


@pytest.mark.parametrize(
    'arguments',
    [
        (),
        ('--method=bake', '--fan'),
        ('--method=bake', '--rack=1', '--degrees=200'),
        ('--recipe=bread', '--page=7'),
        ('--minutes=5',),
        ('--shine=0.1',),
        ('--nocrust',),
        ('--nofan', '--page=1', '--rack=2', '--degrees=180'),  # defaults, as recorded flag files hold them
        ('--recipe=bread', '--minutes=30'),
    ],
)
def test_flags_with_an_effect_are_accepted(arguments):
    refuse_idle_flags((BakingOptions, OvenOptions), parsed(*arguments))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--fan',), '--fan would have no effect: it needs --method=bake; give that, or drop the flag'),
        (('--page=7',), '--page=7 would have no effect: it needs --recipe=...; give that, or drop the flag'),
        (
            ('--minutes=5', '--recipe=bread'),
            '--minutes=5.0 would have no effect with --recipe=bread; drop one of the two',
        ),
        (('--degrees=200',), '--degrees=200 would have no effect: it needs --method=bake; give that, or drop the flag'),
        (
            ('--degrees=200', '--method=bake', '--fan'),
            '--degrees=200 would have no effect with --fan; drop one of the two',
        ),
        (
            ('--shine=0.1', '--nocrust'),
            '--shine=0.1 would have no effect: it needs --crust; give that, or drop the flag',
        ),
        (('--rack=1',), '--rack=1 would have no effect: it needs --method=bake; give that, or drop the flag'),
    ],
)
def test_the_message_names_flag_value_and_the_way_out(arguments, message):
    with pytest.raises(UsageError) as caught:
        refuse_idle_flags((BakingOptions, OvenOptions), parsed(*arguments))
    assert str(caught.value) == message


def test_only_the_given_classes_are_looked_at():
    refuse_idle_flags((BakingOptions,), parsed('--rack=1'))


def test_what_is_searched_may_become_what_others_need():
    refuse_idle_flags((BakingOptions, OvenOptions), parsed('--fan', '--rack=1'), searched=('method',))
    refuse_idle_flags((BakingOptions,), parsed('--minutes=5', '--recipe=bread'), searched={'recipe'})
    with pytest.raises(UsageError, match='it needs --method=bake'):
        refuse_idle_flags((BakingOptions,), parsed('--fan'), searched=('fan', 'crust'))


def test_accepted_flags_are_accepted_again_from_their_flag_file():
    values = parsed('--recipe=bread', '--page=7')
    lines = flag_lines(from_flags(options_class, values) for options_class in (BakingOptions, OvenOptions))
    refuse_idle_flags((BakingOptions, OvenOptions), parsed(*lines))


CAKE, BREAD, SOUP = {'minutes': 'degrees'}, {'minutes': 'recipe'}, {}


@pytest.mark.parametrize('chain', [{'soup': SOUP}, {'cake': CAKE, 'soup': SOUP}, {'bread': BREAD}])
def test_a_shared_flag_that_one_goes_by_is_accepted(chain):
    refuse_replaced_flags(chain, BakingOptions, parsed('--minutes=5'))


@pytest.mark.parametrize(
    ('chain', 'more', 'message'),
    [
        ({'cake': CAKE}, (), '--learner=cake goes by --degrees; give that, or drop the flag'),
        ({'bread': BREAD}, ('--recipe=x',), '--learner=bread goes by --recipe; give that, or drop the flag'),
        (
            {'cake': CAKE, 'bread': BREAD},
            ('--recipe=x',),
            '--learner=cake,bread goes by --degrees, --recipe; give that',
        ),
    ],
)
def test_a_shared_flag_that_none_goes_by_is_refused(chain, more, message):
    refuse_replaced_flags(chain, BakingOptions, parsed('--minutes=30', *more))
    with pytest.raises(UsageError) as caught:
        refuse_replaced_flags(chain, BakingOptions, parsed('--minutes=5', *more))
    assert str(caught.value).startswith(f'--minutes=5.0 would have no effect: {message}')


def test_flags_are_shown_as_they_are_written():
    values = parsed('--fan', '--nocrust', '--recipe=a b')
    assert [argument(flag, values) for flag in ('fan', 'crust', 'recipe', 'page')] == [
        '--fan',
        '--nocrust',
        '--recipe=a b',
        '--page=1',
    ]


def test_the_help_says_what_a_flag_needs():
    fields = {field.name: field for field in option_fields(BakingOptions)}
    assert dependence(fields['degrees']) == 'needs --method=bake; not with --recipe or --fan'
    assert help_text(fields['degrees']) == 'how hot (needs --method=bake; not with --recipe or --fan)'
    assert help_text(fields['minutes']) == 'how long (a number >= 0; not with --recipe)'
    assert help_text(fields['recipe']) == 'what the book says'


def test_flags_in_effect():
    changed, defaults = flags_in_effect((BakingOptions, OvenOptions), parsed('--method=bake', '--fan', '--minutes=5'))
    assert changed == ['--method=bake', '--fan', '--minutes=5.0']
    # The temperature has no effect with a fan; there is no recipe, and so no page.
    assert defaults == ['--crust', '--shine=0.5', '--rack=2']
    assert flags_in_effect((BakingOptions, OvenOptions), parsed())[1] == [
        '--method=steam',
        '--minutes=30.0',
        '--crust',
        '--shine=0.5',
    ]
