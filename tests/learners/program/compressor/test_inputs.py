"""Objects as files below the run directories."""

from __future__ import annotations

import pytest

from pocketflow.learners.program.compressor.inputs import Inputs


def writing(text):
    def write(folder):
        (folder / 'file').write_text(text)
        return text

    return write


def test_the_same_object_has_the_same_place(tmp_path):
    inputs = Inputs(tmp_path)
    one, other, again = (inputs.keep(writing(text)) for text in ('a', 'b', 'a'))
    assert one == again != other and (one / 'file').read_text() == 'a'
    assert sorted(path.name for path in (tmp_path / 'inputs').iterdir()) == sorted([one.name, other.name])


def test_what_no_run_names_is_removed_again(tmp_path):
    inputs = Inputs(tmp_path / 'new' / 'runs')
    used, unused = inputs.keep(writing('a')), inputs.keep(writing('b'))
    inputs.remove_unused([f'--save_path={used}/file'])
    assert used.exists() and not unused.exists()
    later = Inputs(tmp_path / 'new' / 'runs')
    later.keep(writing('a'))
    later.remove_unused([])
    assert used.exists()  # it was there before


def test_nothing_is_left_of_inputs_that_cannot_be_written(tmp_path):
    def fail(folder):
        (folder / 'file').touch()
        raise OSError('full')

    inputs = Inputs(tmp_path / 'runs')
    with pytest.raises(OSError, match='full'):
        inputs.keep(fail)
    inputs.remove_unused([])
    assert not list(tmp_path.iterdir())
