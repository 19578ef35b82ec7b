from __future__ import annotations

import dataclasses

from pocketflow.utils.options import Options, from_flags, option
from pocketflow.utils.options.implied import ValueOf, implied_values, not_given, set_values
from pocketflow.utils.options.parsing import parse


@dataclasses.dataclass(frozen=True)
class Length(Options):
    epochs: float = option('epochs', 1.0, 'epochs')
    whole: float = option('whole', 9.0, 'epochs of a whole training')
    rate: float = option('rate', 0.1, 'rate')


@dataclasses.dataclass(frozen=True)
class Recipe(Options):
    recipe: str | None = option(
        'recipe',
        None,
        'recipe',
        choices=('slow', 'fast'),
        implies={'slow': {'epochs': 5.0, 'rate': 0.5}, 'fast': {'rate': 2.0}},
    )
    anew: bool | None = option('anew', None, 'anew', implies={True: {'epochs': ValueOf('whole')}})


def length(*arguments: str) -> Length:
    values = parse((Length, Recipe), ['main.py', *arguments])
    set_values(implied_values((Length, Recipe), values), values)
    return from_flags(Length, values)


def test_flags_that_are_not_given_take_the_values_that_others_imply():
    assert length() == Length()
    assert length('--recipe=slow') == Length(epochs=5.0, rate=0.5)
    assert length('--recipe=fast') == Length(rate=2.0)
    assert length('--anew', '--whole=7') == Length(epochs=7.0, whole=7.0)
    assert length('--noanew') == Length()


def test_given_flags_win_even_with_their_default_and_from_a_file(tmp_path):
    assert length('--recipe=slow', '--rate=0.1') == Length(epochs=5.0, rate=0.1)
    file = tmp_path / 'flags.txt'
    file.write_text('--recipe=slow\n--epochs=1.0\n')
    assert length(f'--flagfile={file}') == Length(epochs=1.0, rate=0.5)


def test_values_that_were_set_do_not_count_as_given():
    values = parse((Length,), ['main.py', '--rate=3'])
    assert not_given({'epochs': 2.0, 'rate': 1.0}, values) == {'epochs': 2.0}
    set_values({'epochs': 2.0}, values)
    assert values['epochs'].value == 2.0 and not values['epochs'].present
