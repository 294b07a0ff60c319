"""A small simulated planet: height fields of cratered and other terrain, lit by a low sun.

Heights, lengths and radii are in pixels, so that slopes are true. Every function takes its random generator.
Crater shapes follow Pike (1977) for fresh simple craters: depth about a fifth of the diameter, rim about a
twenty-fifth; erosion lowers the rim, fills the floor and softens the edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]


@dataclass(frozen=True)
class Crater:
    """A known crater: centre and radius in pixels, and how worn it is (fresh, degraded, ghost)."""

    x: float
    y: float
    r: float
    kind: str


#: kind -> depth and rim height (shares of the diameter), flatness of the floor, roughness kept inside
SHAPES = {
    "fresh": (0.19, 0.040, 0.20, 0.15),
    "degraded": (0.095, 0.016, 0.45, 0.5),
    "ghost": (0.032, 0.014, 0.72, 1.0),
}


def fractal(rng: np.random.Generator, size: int, slope: float, shortest_px: float = 2.0) -> Field:
    """Noise whose power falls with frequency as f^-slope; mean 0, standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    amplitude = frequency ** (-slope / 2) * np.exp(-((frequency * shortest_px) ** 2))
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * amplitude
    noise = np.fft.irfft2(spectrum, s=(size, size))
    return (noise - noise.mean()) / noise.std()


def blur(field: Field, radius_px: float) -> Field:
    """Gaussian blur; the borders mirror, so that nothing wraps around."""
    if radius_px <= 0:
        return field
    pad = int(4 * radius_px) + 1
    wide = np.pad(field, pad, mode="reflect")
    frequency = np.hypot(np.fft.fftfreq(wide.shape[0])[:, None], np.fft.rfftfreq(wide.shape[1])[None, :])
    kernel = np.exp(-2 * (np.pi * radius_px * frequency) ** 2)
    return np.fft.irfft2(np.fft.rfft2(wide) * kernel, s=wide.shape)[pad:-pad, pad:-pad]


def grid(size: int) -> tuple[Field, Field]:
    """Pixel coordinates (x, y)."""
    y, x = np.mgrid[0:size, 0:size].astype(float)
    return x, y


# -- craters ------------------------------------------------------------------------------------------


def scatter(
    rng: np.random.Generator,
    size: int,
    kinds: Sequence[str],
    smallest_px: float,
    largest_px: float,
    taken: Sequence[Crater] = (),
) -> list[Crater]:
    """Place craters wholly inside the image, mostly small ones, none hiding another.

    Radii follow a power law (many small, few large) between half of the two diameters given.
    """
    placed: list[Crater] = []
    radii = [
        0.5 * smallest_px / (1 - u * (1 - (smallest_px / largest_px) ** 1.3)) ** (1 / 1.3)
        for u in rng.random(len(kinds))
    ]
    for kind, r in sorted(zip(kinds, radii, strict=True), key=lambda pair: -pair[1]):
        r *= {"fresh": 1.0, "degraded": 1.2, "ghost": 1.5}[kind]
        for _ in range(200):
            x, y = rng.uniform(r * 1.25 + 2, size - r * 1.25 - 2, 2)
            if all(
                np.hypot(x - o.x, y - o.y) > 1.25 * max(r, o.r) + 0.55 * min(r, o.r)
                for o in (*placed, *taken)
            ):
                placed.append(Crater(round(float(x), 1), round(float(y), 1), round(float(r), 1), kind))
                break
    return placed


def dig(height: Field, crater: Crater, rng: np.random.Generator) -> None:
    """Put one more crater into the height field, in place."""
    depth_share, rim_share, flatness, kept = SHAPES[crater.kind]
    depth, rim = depth_share * 2 * crater.r, rim_share * 2 * crater.r
    # a window of four radii: further out the ejecta are too thin to see
    reach = 4 * crater.r + 6
    top, left = max(0, int(crater.y - reach)), max(0, int(crater.x - reach))
    ground = height[top : int(crater.y + reach) + 1, left : int(crater.x + reach) + 1]
    y, x = np.mgrid[0 : ground.shape[0], 0 : ground.shape[1]].astype(float)
    x, y = x + left - crater.x, y + top - crater.y
    angle = np.arctan2(y, x)
    wobble = sum(
        rng.normal(0, 0.017) / n**0.7 * np.cos(n * angle + rng.uniform(0, 2 * np.pi)) for n in range(2, 8)
    )
    distance = np.hypot(x, y) / (crater.r * (1 + wobble))
    # a floor, then a wall of nearly even slope up to the rim
    wall = np.clip((distance - flatness) / (1 - flatness), 0, None)
    inside = -depth + (depth + rim) * wall**1.35
    # the rim falls off with about the third power; a fresh crater's ejecta lie in lumpy rays
    rays = 1 + 0.3 * np.cos(rng.integers(5, 10) * angle + rng.uniform(0, 6)) * (crater.kind == "fresh")
    outside = rim * (np.maximum(distance, 1e-6) ** -3.4 - 4**-3.4) * np.where(distance > 1.2, rays, 1)
    soft = {"fresh": 0.035, "degraded": 0.10, "ghost": 0.09}[crater.kind] * crater.r
    shape = blur(np.where(distance < 1, inside, np.maximum(outside, 0)), max(soft, 0.6))
    # the impact wipes out what was there; an old crater has gathered new relief since
    gone = np.clip(1.15 - distance, 0, 0.15) / 0.15 * (1 - kept)
    level = float(ground[distance < 1.2].mean())
    ground += gone * (level - ground) + shape


def cratered(height: Field, craters: Sequence[Crater], rng: np.random.Generator) -> Field:
    """Dig them in order of age: ghosts first, fresh ones last."""
    height = height.copy()
    for kind in ("ghost", "degraded", "fresh"):
        for crater in craters:
            if crater.kind == kind:
                dig(height, crater, rng)
    return height


# -- other landforms ----------------------------------------------------------------------------------


def dunes(rng: np.random.Generator, size: int, wavelength_px: float, direction: float) -> Field:
    """Transverse dunes: long gentle windward sides, short steep lee sides, crests that bend and fork."""
    x, y = grid(size)
    along = x * np.cos(direction) + y * np.sin(direction)
    warp = (
        fractal(rng, size, 3.4, 30) * 0.55 * wavelength_px
        + fractal(rng, size, 2.6, 14) * 0.10 * wavelength_px
    )
    phase = ((along + warp) / wavelength_px) % 1.0
    crest = 0.74
    profile = np.where(phase < crest, (phase / crest) ** 1.6, ((1 - phase) / (1 - crest)).clip(0, 1) ** 1.15)
    strength = 0.45 + 0.55 / (1 + np.exp(-2.2 * (fractal(rng, size, 3.0, 36) + 0.6)))
    return blur(profile * strength * wavelength_px * 0.15, 0.8)


def barchans(rng: np.random.Generator, size: int, count: int, direction: float) -> Field:
    """Single crescent dunes on a hard floor, horns downwind."""
    x, y = grid(size)
    height = np.zeros((size, size))
    spots: list[tuple[float, float, float]] = []
    for _ in range(count * 40):
        if len(spots) == count:
            break
        r = float(14 + 30 * rng.random() ** 1.8)
        cx, cy = rng.uniform(r, size - r, 2)
        if all(np.hypot(cx - a, cy - b) > 1.5 * (r + c) for a, b, c in spots):
            spots.append((float(cx), float(cy), r))
    for cx, cy, r in spots:
        turn = direction + rng.normal(0, 0.08)
        u = ((x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)) / r
        v = (-(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)) / (r * rng.uniform(0.95, 1.15))
        body = np.clip(1 - (u / 1.25) ** 2 - v**2, 0, None) ** 0.8
        bite = np.clip(1.0 - ((u - 0.85) / 1.0) ** 2 - (v / 0.78) ** 2, 0, None) ** 0.45
        height = np.maximum(height, r * 0.26 * np.clip(body - 1.25 * bite, 0, None))
    return blur(height, 1.4)


def channel_paths(rng: np.random.Generator, size: int, branches: int) -> list[tuple[Field, float]]:
    """A winding trunk across the image and side valleys that join it: (points n x 2, half width in px)."""
    t = np.linspace(-0.1, 1.1, 260)
    bend = sum(
        rng.normal(0, 1) / n * np.sin(2 * np.pi * n * t + rng.uniform(0, 6.3)) for n in (1, 2, 3, 4, 6)
    )
    lateral = 0.5 + rng.uniform(-0.08, 0.08) + 0.12 * bend
    turn = rng.uniform(0, 2 * np.pi)
    centred = np.stack([(t - 0.5) * 1.35, lateral - 0.5], axis=1)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    trunk = (centred @ spin.T + 0.5) * size
    paths = [(trunk, float(rng.uniform(15, 22)))]
    for _ in range(branches):
        parent, width = paths[int(rng.integers(0, len(paths)))]
        at = int(rng.integers(len(parent) // 6, len(parent) * 5 // 6))
        way = parent[at] - parent[at - 1]
        heading = np.arctan2(way[1], way[0]) + np.pi + rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)
        points = [parent[at]]
        for _ in range(int(rng.integers(60, 120))):
            heading += rng.normal(0, 0.13)
            points.append(points[-1] + 1.9 * np.array([np.cos(heading), np.sin(heading)]))
        paths.append((np.array(points), width * float(rng.uniform(0.38, 0.6))))
    return paths


def channels(height: Field, rng: np.random.Generator, branches: int) -> Field:
    """Carve valleys with flat floors and steep banks into the height field."""
    size = len(height)
    x, y = grid(size)
    ragged = fractal(rng, size, 3.0, 12)
    carved = height
    for points, half_width in reversed(channel_paths(rng, size, branches)):
        distance = np.full((size, size), np.inf)
        taper = np.linspace(1, 0.45, len(points)) if len(points) < 200 else np.ones(len(points))
        for (px, py), share in zip(points, taper, strict=True):
            near = np.hypot(x - px, y - py) / share
            np.minimum(distance, near, out=distance)
        edge = (distance + 0.14 * half_width * ragged - half_width) / (0.13 * half_width)
        floor = height - 0.55 * half_width / (1 + np.exp(np.clip(edge, -40, 40)))
        # where two valleys meet the deeper floor counts, not the sum
        carved = np.minimum(carved, floor)
    return blur(carved, 0.9)


def layers(rng: np.random.Generator, size: int, steps: int) -> tuple[Field, Field]:
    """Eroded layered rock: terraces along the contours, and each layer's own brightness (height, albedo)."""
    x, y = grid(size)
    turn = rng.uniform(0, 2 * np.pi)
    ramp = ((x - size / 2) * np.cos(turn) + (y - size / 2) * np.sin(turn)) / size
    relief = 0.62 * ramp + 0.20 * fractal(rng, size, 4.2, 40) + 0.008 * fractal(rng, size, 2.4, 7)
    level = (relief - relief.min()) / np.ptp(relief) * steps
    whole, part = np.floor(level), level % 1.0
    cliff = np.clip((part - 0.55) / 0.40, 0, 1)
    terrace = whole + 0.25 * part + 0.75 * cliff * cliff * (3 - 2 * cliff)
    shades = rng.uniform(-1, 1, steps + 2)
    albedo = shades[whole.astype(int)] * (1 - cliff) + 0.8 * cliff
    return blur(terrace * 6.5, 1.0), blur(albedo, 1.2)


# -- the picture --------------------------------------------------------------------------------------


def light(height: Field, azimuth: float, elevation: float) -> tuple[Field, Field]:
    """Sunlight on the ground: (Lambert brightness, 0..1 where 1 is full shadow).

    azimuth: where the sun stands, radians clockwise from east in the image; elevation: above the ground.
    """
    east, south = np.cos(azimuth), np.sin(azimuth)
    slope_y, slope_x = np.gradient(height)
    normal = np.sqrt(1 + slope_x**2 + slope_y**2)
    sun = np.sin(elevation) - np.cos(elevation) * (slope_x * east + slope_y * south)
    shade = np.clip(sun / normal, 0, None)
    shadow = np.zeros_like(height)
    size = len(height)
    rows, columns = np.mgrid[0:size, 0:size]
    for step in range(1, 90):
        y = np.clip(np.rint(rows + step * south).astype(int), 0, size - 1)
        x = np.clip(np.rint(columns + step * east).astype(int), 0, size - 1)
        above = height[y, x] - height - step * np.tan(elevation)
        np.maximum(shadow, np.clip(above / 0.8, 0, 1), out=shadow)
    return shade, blur(shadow, 0.6)


def photograph(
    height: Field,
    rng: np.random.Generator,
    *,
    azimuth: float,
    elevation: float,
    albedo: Field | None = None,
    contrast: float = 1.0,
) -> NDArray[np.uint8]:
    """What an orbiter's line camera sees: light, brightness of the ground, blur, striping and noise."""
    size = len(height)
    shade, shadow = light(height, azimuth, elevation)
    flat = np.sin(elevation)
    ground = 1 + 0.055 * fractal(rng, size, 2.8, 6) + 0.02 * fractal(rng, size, 1.2, 1.5)
    if albedo is not None:
        ground = ground + 0.10 * albedo
    seen = ground * (shade / flat) * (1 - 0.72 * shadow)
    seen = blur(seen, 0.75)
    stripes = 0.008 * rng.standard_normal(size)[None, :] + 0.004 * rng.standard_normal(size)[:, None]
    seen = seen + stripes + 0.022 * rng.standard_normal((size, size))
    grey = 112 + 118 * contrast * (seen - 1)
    # a soft shoulder keeps sunlit walls from burning out
    grey = np.where(grey > 190, 190 + 60 * np.tanh((grey - 190) / 60), grey)
    return np.clip(np.rint(grey), 4, 255).astype(np.uint8)
