from __future__ import annotations

import numpy as np

from pocketflow.datasets.sources.order import stratified_order, stratified_shares

LABELS = np.array([0] * 20 + [1] * 10 + [2] * 5 + [3])
NAMES = [b'%d/%d' % (label, number) for number, label in enumerate(LABELS)]


def test_a_share_takes_its_part_of_each_class():
    shares = stratified_shares(NAMES, LABELS, 'salt')
    assert np.bincount(LABELS[shares < 0.2], minlength=4).tolist() == [4, 2, 1, 0]
    assert np.bincount(LABELS[shares < 0.6], minlength=4).tolist() == [12, 6, 3, 1]
    assert sorted(shares[LABELS == 2]) == [0.1, 0.3, 0.5, 0.7, 0.9]


def test_the_first_ones_in_order_hold_all_classes_in_proportion():
    order = stratified_order(NAMES, LABELS, 'salt')
    assert sorted(order) == list(range(36))
    assert np.bincount(LABELS[order[:17]], minlength=4).tolist() == [10, 5, 2, 0]


def test_the_order_depends_on_names_alone():
    turned = np.arange(36)[::-1]
    order = stratified_order(NAMES, LABELS, 'salt')
    again = stratified_order([NAMES[index] for index in turned], LABELS[turned], 'salt')
    assert [NAMES[index] for index in order] == [NAMES[turned[index]] for index in again]
    assert order.tolist() != stratified_order(NAMES, LABELS, 'other').tolist()


def test_a_new_sample_moves_at_most_one_other_across_a_border():
    before = {name for name, share in zip(NAMES, stratified_shares(NAMES, LABELS, 'salt'), strict=True) if share < 0.2}
    names, labels = [b'0/new', *NAMES], np.array([0, *LABELS])
    after = {name for name, share in zip(names, stratified_shares(names, labels, 'salt'), strict=True) if share < 0.2}
    assert len(before - after) <= 1 and len(after - before) <= 1
