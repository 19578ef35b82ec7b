from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.tasks import MultiOutput
from pocketflow.nets.tasks.agreement import SameClass, SameLabels, SameNumbers, agreement_with
from pocketflow.utils.errors import UsageError

layers = keras.layers
TEACHER = np.float32([[2, 0], [0, 1], [1, 0], [0, 3]])
STUDENT = np.float32([[1, 0], [1, 0], [4, 1], [0, 1]])


def test_the_share_of_equal_classes():
    task = SameClass(2)
    assert task.measure(TEACHER, STUDENT) == {'agreement': 3 / 4}
    assert task.same_answers(TEACHER, STUDENT).tolist() == [True, False, True, True]
    assert float(task.batch_metrics(TEACHER, STUDENT)['agreement']) == 3 / 4
    assert task.takes_logits and task.output_shape(tuple, None) == (2,) and task.check_labels(TEACHER, 2, '') is TEACHER
    assert 'No labels were used' in task.to_json()['note'] and task.primary.label == 'agreement with the original'


def test_the_loss_of_classes_is_the_cross_entropy_with_the_teacher():
    logits = np.float32([[0, math.log(3)]])  # probabilities 1/4 and 3/4
    expected = -(1 / 4 * math.log(1 / 2) + 3 / 4 * math.log(1 / 2))
    assert float(SameClass(2).loss(logits, np.zeros((1, 2), np.float32))) == pytest.approx(expected)
    probabilities = np.float32([[1 / 4, 3 / 4]]), np.float32([[1 / 2, 1 / 2]])
    task = SameClass(2, has_probabilities=True)
    assert float(task.loss(*probabilities)) == pytest.approx(expected) and not task.takes_logits
    assert np.isfinite(task.loss(np.float32([[0, 1]]), np.float32([[1, 0]])))


def test_the_share_of_samples_with_all_decisions_equal():
    teacher, student = np.float32([[1, -1], [2, 2], [-1, -1]]), np.float32([[2, -3], [2, -2], [1, 1]])
    expected = {'agreement': 1 / 3, 'same_decisions': 3 / 6}
    task, of_probabilities = SameLabels(2), SameLabels(2, has_probabilities=True)
    assert task.measure(teacher, student) == pytest.approx(expected)
    assert task.same_answers(teacher, student).tolist() == [True, False, False]
    squashed = tf.sigmoid(teacher).numpy(), tf.sigmoid(student).numpy()
    assert of_probabilities.measure(*squashed) == pytest.approx(expected)
    assert of_probabilities.same_answers(*squashed).tolist() == [True, False, False]
    assert float(of_probabilities.loss(*squashed)) == pytest.approx(float(task.loss(teacher, student)), rel=1e-4)
    assert float(of_probabilities.batch_metrics(*squashed)['same_decisions']) == 3 / 6
    assert SameLabels(1).measure(np.float32([[1], [-1]]), np.float32([[1], [1]]))['agreement'] == 1 / 2


def test_differences_relative_to_the_range():
    """The first column has the range 100, the second 2."""
    teacher, student = np.float32([[0, 1], [50, 1], [100, 3]]), np.float32([[0.5, 1], [54, 1], [100, 2.5]])
    task = SameNumbers((2,))
    assert task.measure(teacher, student) == pytest.approx(
        {'difference': (0.005 + 0.04 + 0.25) / 6, 'agreement': 1 / 3}, rel=1e-5
    )
    assert task.same_answers(teacher, student).tolist() == [True, False, False]
    assert not task.takes_logits and not task.primary.higher_is_better
    loss = float(task.loss(tf.constant(teacher), tf.constant(student)))
    parts = (0.25 + 16) / 3 / (5000 / 3), 0.25 / 3 / 1  # the variances are 5000 / 3 and 8 / 9
    assert loss == pytest.approx(sum(parts) / 2, rel=1e-4)
    assert float(task.loss(tf.zeros([1, 2]), tf.zeros([1, 2]))) == 0
    assert float(task.batch_metrics(teacher, student)['absolute_difference']) == pytest.approx((0.5 + 4 + 0.5) / 6)


def test_differences_of_maps_and_of_constants():
    teacher = np.zeros((2, 2, 2, 1), np.float32)
    teacher[1, 0, 0] = 4
    student = teacher.copy()
    student[0, 1, 1] = 2  # a mean difference of 2 / 4 in the first sample, of a range of 4
    task = SameNumbers((2, 2, 1))
    assert task.measure(teacher, student) == {'difference': 0.125 / 2, 'agreement': 1 / 2}
    assert task.same_answers(teacher, student).tolist() == [False, True]
    assert SameNumbers(()).measure(np.float32([1, 1]), np.float32([1, 2])) == {'difference': 1 / 2, 'agreement': 1 / 2}


def network(*outputs: layers.Layer | list[layers.Layer]) -> keras.Model:
    inputs = layers.Input((4,))
    found = []
    for output in outputs:
        features = inputs
        for layer in output if isinstance(output, list) else [output]:
            features = layer(features)
        found.append(features)
    return keras.Model(inputs, found if len(found) > 1 else found[0])


@pytest.mark.parametrize(
    ('last', 'asked', 'expected'),
    [
        (layers.Dense(3, 'softmax'), None, SameClass),
        ([layers.Dense(3), layers.Softmax()], None, SameClass),
        (layers.Dense(3), None, SameClass),
        (layers.Dense(3, 'sigmoid'), None, SameLabels),
        (layers.Dense(1, 'sigmoid'), None, SameLabels),
        (layers.Dense(1), None, SameNumbers),
        ([layers.Dense(4), layers.Reshape((2, 2))], None, SameNumbers),
        (layers.Dense(3), 'regression', SameNumbers),
        (layers.Dense(3), 'multi-label', SameLabels),
        (layers.Dense(3, 'sigmoid'), 'classification', SameClass),
        (layers.Dense(1), 'classification', SameLabels),
    ],
)
def test_the_end_of_the_network_says_what_its_outputs_mean(last, asked, expected):
    task = agreement_with(network(last), asked)
    assert type(task) is expected and not getattr(task, 'has_probabilities', False)


def test_several_outputs_keep_their_heads():
    model = network(layers.Dense(3, 'softmax', name='kind'), layers.Dense(1, name='age'))
    task = agreement_with(model)
    assert isinstance(task, MultiOutput) and 'No labels were used' in task.note
    assert task.tasks['kind'].has_probabilities and isinstance(task.tasks['age'], SameNumbers)
    assert task.output_shape(dict, None) == {'kind': (3,), 'age': (1,)}
    labels = {'kind': np.float32([[1, 0, 0]]), 'age': np.float32([[2]])}
    measured = task.measure(labels, [np.float32([[0, 1, 0]]), np.float32([[2]])])
    assert measured == {'kind_agreement': 0, 'age_difference': 0, 'age_agreement': 1}


@pytest.mark.parametrize(
    ('outputs', 'asked', 'message'),
    [
        ([layers.Dense(3), layers.Dense(1)], 'regression', '--task=regression: the network has 2 outputs'),
        ([layers.Dense(3, 'softmax')], 'multi-label', '--task=multi-label: the network ends with a softmax'),
        (
            [[layers.Dense(4), layers.Reshape((2, 2))]],
            'classification',
            r'outputs of shape \(None, 2, 2\); expected one',
        ),
    ],
)
def test_what_the_outputs_cannot_mean_is_refused(outputs, asked, message):
    with pytest.raises(UsageError, match=message):
        agreement_with(network(*outputs), asked)
