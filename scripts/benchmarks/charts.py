"""A chart for the documentation, as SVG."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from pocketflow.utils.reports.number_format import human_bytes

WIDTH, HEIGHT, LEFT, TOP = 460, 300, 60, 20
COLORS = ('#000', '#777', '#c33', '#06c', '#2a2', '#a0a')
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 650 370" font-family="sans-serif" font-size="12">',
    '<rect width="650" height="370" fill="#fff"/>',
)


@dataclasses.dataclass(frozen=True)
class Axes:
    """Logarithmic axes: counts from 2 to 2^right horizontally, bytes between two powers of ten vertically."""

    right: int
    low: int
    high: int

    def x(self, count: float) -> float:
        return LEFT + WIDTH * (math.log2(count) - 1) / (self.right - 1)

    def y(self, num_bytes: float) -> float:
        return TOP + HEIGHT * (self.high - math.log10(num_bytes)) / (self.high - self.low)

    def grid(self) -> list[str]:
        parts = []
        for count in (2**exponent for exponent in range(1, self.right + 1)):
            parts += [
                f'<path d="M{self.x(count):.1f} {TOP}v{HEIGHT}" stroke="#ddd"/>',
                f'<text x="{self.x(count):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{count}</text>',
            ]
        for num_bytes in (10**exponent for exponent in range(self.low, self.high + 1)):
            label = human_bytes(num_bytes).replace('.00 ', ' ').replace('.0 ', ' ')
            parts += [
                f'<path d="M{LEFT} {self.y(num_bytes):.1f}h{WIDTH}" stroke="#ddd"/>',
                f'<text x="{LEFT - 6}" y="{self.y(num_bytes) + 4:.1f}" text-anchor="end">{label}</text>',
            ]
        return parts

    def line(self, name: str, counts: Sequence[float], values: Sequence[float], color: str) -> list[str]:
        points = ' '.join(
            f'{self.x(count):.1f},{self.y(value):.1f}' for count, value in zip(counts, values, strict=True)
        )
        return [
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>',
            f'<text x="{LEFT + WIDTH + 8}" y="{self.y(values[-1]) + 4:.1f}" fill="{color}">{name}</text>',
        ]


def byte_chart(lines: Mapping[str, Sequence[float]], counts: Sequence[float], title: str) -> str:
    """An SVG of bytes (positive) against counts from 2 on, both logarithmic, with labels at the ends of the lines."""
    everything = [value for values in lines.values() for value in values]
    axes = Axes(
        math.ceil(math.log2(counts[-1])),
        math.floor(math.log10(min(everything))),
        math.ceil(math.log10(max(everything))),
    )
    parts = axes.grid()
    for (name, values), color in zip(lines.items(), COLORS, strict=False):
        parts += axes.line(name, counts, values, color)
    parts.append(f'<text x="{LEFT + WIDTH / 2:g}" y="{TOP + HEIGHT + 40}" text-anchor="middle">{title}</text>')
    return '\n'.join([*HEAD, *parts, '</svg>', ''])
