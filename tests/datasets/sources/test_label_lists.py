from __future__ import annotations

import pytest

from pocketflow.datasets.sources.label_lists import read_boxes, read_classes, read_image_labels
from pocketflow.utils.errors import UsageError

SYNSETS = ('n01440764', 'n01443537')
NUMBERS = {name: number for number, name in enumerate(SYNSETS)}


def written(tmp_path, text: str) -> str:
    path = tmp_path / 'list.txt'
    path.write_text(text, encoding='utf-8')
    return str(path)


@pytest.mark.parametrize(
    'text',
    [
        'n01440764\nn01443537\n',
        'n01440764 tench, Tinca tinca\r\nn01443537 goldfish\r\n\r\n',
        'n01440764\ttench, Tinca tinca\nn01443537\tgoldfish',
        'n01440764,"tench, Tinca tinca"\nn01443537,goldfish\n',
        '\ufeffsynset,words\nn01440764,tench\nn01443537,goldfish\n',
    ],
)
def test_the_usual_forms_of_a_list_of_classes(tmp_path, text):
    assert read_classes(written(tmp_path, text)) == SYNSETS


def test_classes_may_have_other_names(tmp_path):
    assert read_classes(written(tmp_path, 'sea lion\ncat,small\n')) == ('sea lion', 'cat')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('n01440764\nn01443537\nn01440764\n', r'list.txt, line 3: n01440764 is on line 1 already$'),
        ('n01440764\ntench\n', r'list.txt, line 2: tench: is no synset as n01440764$'),
        ('\n \n', r'list.txt: has no lines$'),
    ],
)
def test_wrong_lists_of_classes(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_classes(written(tmp_path, text))
    with pytest.raises(UsageError, match='No such file'):
        read_classes(str(tmp_path / 'none.txt'))


def test_labels_of_images_in_order_or_by_name(tmp_path):
    assert read_image_labels(written(tmp_path, 'n01443537\nn01440764\n'), NUMBERS) == ['n01443537', 'n01440764']
    expected = {'val_1': 'n01443537', 'val_2': 'n01440764'}
    for text in (
        'ImageId,PredictionString\nval_1,n01443537 1 2 3 4 n01443537 5 6 7 8\nval_2,n01440764 1 1 2 2 \n',
        'val/val_1.JPEG n01443537\nval_2.JPEG n01440764\n',
        'val_1.JPEG\tn01443537\nval_2.JPEG\tn01440764\n',
    ):
        assert read_image_labels(written(tmp_path, text), NUMBERS) == expected


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('490\n361\n', r'list.txt, line 1: 490 is the number of a class, whose order differs between lists; give'),
        ('n01443537\nn09999999\n', r'list.txt, line 2: n09999999 is none of the classes$'),
        ('a.jpg,n01443537\nb.jpg,\n', r'list.txt, line 2: nothing is none of the classes$'),
    ],
)
def test_wrong_labels_of_images(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_image_labels(written(tmp_path, text), NUMBERS)


def test_boxes_of_objects(tmp_path):
    text = 'n1_2.JPEG,0.1,0.2,0.3,0.4\nn1_2.JPEG,0,0,1,1\nn1_3.JPEG,0.5,0.5,0.6,0.6\n'
    assert read_boxes(written(tmp_path, text)) == {
        'n1_2': [(0.2, 0.1, 0.4, 0.3), (0, 0, 1, 1)],
        'n1_3': [(0.5, 0.5, 0.6, 0.6)],
    }
    for wrong in ('a,0.1,0.2,0.3\n', 'a,0.5,0,0.4,1\n', 'a,0,0,1,2\n', 'a,b,c,d,e\n'):
        with pytest.raises(UsageError, match='line 2: expected NAME,xmin,ymin,xmax,ymax'):
            read_boxes(written(tmp_path, text[: text.index('\n') + 1] + wrong))
