"""Searches as a report holds them."""

from __future__ import annotations

import pytest


def trial(number, reward, cost=27_000.0, **more):
    return {
        'number': number,
        'reward': reward,
        'before': 0.41,
        'cost': cost,
        'screened': False,
        'same_as': None,
        'seconds': 11.2,
        'values': {'conv_1': 0.9, 'conv_2': 0.9},
        **more,
    }


def verified(source, number, reward, cost=27_000.0, **values):
    return {'source': source, 'trial': number, 'reward': reward, 'cost': cost, 'values': values}


@pytest.fixture
def layer_search():
    """Six trials within one budget: one screened out, one not finite, one repeated."""
    return {
        'learner': 'weight-sparse',
        'optimizer': 'ddpg',
        'searched': 'sparsity',
        'budget': 'a sparsity of 0.900',
        'seconds': 812.4,
        'evaluating': 0.987,
        'cost_unit': 'nonzero parameters',
        'front': [4],
        'trials': [
            trial(1, 0.80),
            trial(2, None, screened=True),
            trial(3, 0.70),
            trial(4, 0.85),
            trial(5, None),
            trial(6, 0.70, same_as=3),
        ],
        'verified': [verified('uniform', 1, 0.861), verified('trial 4', 4, 0.874), verified('policy', None, 0.868)],
        'winner': 'trial 4',
        'layers': [
            {'layer': 'conv_1', 'uniform': 0.9, 'winner': 0.83, 'weights': 4608},
            {'layer': 'conv_2', 'uniform': 0.9, 'winner': 0.95, 'weights': 36_864},
        ],
    }


@pytest.fixture
def costly_search(layer_search):
    """The same without a budget: trial 1 is cheap, trial 4 good, trial 3 neither."""
    trials = [
        trial(1, 0.80, 10_000.0),
        trial(2, None, 12_000.0, screened=True),
        trial(3, 0.70, 15_000.0),
        trial(4, 0.85, 20_000.0),
    ]
    return {**layer_search, 'budget': None, 'cost_unit': 'MACs', 'front': [4, 1], 'trials': trials}


@pytest.fixture
def flag_search(layer_search):
    """A search over the learner's flags, where nothing has a cost."""
    trials = [trial(1, 0.80, None), trial(2, 0.85, None)]
    return {
        **layer_search,
        'optimizer': 'gp',
        'searched': 'flags',
        'budget': None,
        'cost_unit': None,
        'front': [],
        'trials': trials,
        'layers': [],
        'winner': 'trial 2',
        'flags': {'ws_prune_ratio_exp': 2.71828, 'ws_prune_ratio_prtl': 'heurist', 'num_steps': 20},
        'verified': [
            verified('uniform', 1, 0.861, None, ws_prune_ratio_exp=3.0, ws_prune_ratio_prtl='uniform'),
            verified('trial 2', 2, 0.874, None),
        ],
    }


@pytest.fixture
def screened_search(layer_search):
    """No trial has a reward, and nothing could be verified."""
    return {
        **layer_search,
        'trials': [trial(number, None, screened=True) for number in (1, 2, 3)],
        'front': [],
        'verified': [],
        'winner': None,
        'layers': [],
    }


@pytest.fixture
def short_search(layer_search):
    """One trial, the uniform one, which wins."""
    return {
        **layer_search,
        'trials': [trial(1, 0.8)],
        'front': [1],
        'verified': [verified('uniform', 1, 0.861)],
        'winner': 'uniform',
    }


@pytest.fixture(params=['layer_search', 'costly_search', 'flag_search', 'screened_search', 'short_search'])
def any_search(request):
    return request.getfixturevalue(request.param)
