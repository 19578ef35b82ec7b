"""Distribution of the network's share of zeros over the layers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pocketflow.utils.errors import UsageError


def uniform(sizes: Mapping[str, int], ratio: float) -> dict[str, float]:
    """The same share of zeros for each layer; `sizes` is layer -> number of weights."""
    return dict.fromkeys(sizes, ratio)


def heurist(sizes: Mapping[str, int], ratio: float, caps: Mapping[str, float]) -> dict[str, float]:
    """Larger shares for larger layers: p_l = alpha ln(n_l), at most the layer's cap.

    alpha is such that sum(p_l n_l) = ratio * sum(n_l): layers below their caps compensate for those at their caps.

    Args:
      sizes: layer -> n_l, its number of weights.
      ratio: share of zeros over all layers, in [0, 1).
      caps: layer -> largest share, in [0, 1).

    Raises:
      UsageError: the ratio exceeds that of all layers at their caps.
    """
    counts = np.array(list(sizes.values()), np.float64)
    limits = np.array([caps[name] for name in sizes])
    wanted, logs = ratio * counts.sum(), np.log(counts)
    shares, capped = np.zeros_like(counts), limits == 0
    while not capped.all():
        alpha = (wanted - limits[capped] @ counts[capped]) / (counts[~capped] @ logs[~capped])
        shares = np.where(capped, limits, alpha * logs)
        over = ~capped & (shares > limits)
        if not over.any():
            return dict(zip(sizes, map(float, shares), strict=True))
        capped |= over
    return _all_capped(sizes, ratio, limits, wanted, float(limits @ counts))


def _all_capped(
    sizes: Mapping[str, int], ratio: float, limits: np.ndarray, wanted: float, possible: float
) -> dict[str, float]:
    total = sum(sizes.values())
    if wanted > possible * (1 + 1e-12):
        raise UsageError(
            f'with a weight left in each kernel, at most {possible / total:.6g} '
            'of the weights of this network can be zero; give no more'
        )
    return dict(zip(sizes, map(float, limits), strict=True))
