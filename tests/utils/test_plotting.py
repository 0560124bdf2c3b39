"""The house's colours: told apart with any colour vision, and seen on the white card that every figure has."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from tsynd.utils.plotting import COLOURS, MARKERS, METHODS, SETTINGS, method_style

# Machado, Oliveira and Fernandes (2009), doi:10.1109/TVCG.2009.113, severity 1: what a dichromat sees, on linear RGB.
VISION = {
    "trichromacy": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# sRGB's primaries and its white, D65.
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
FIRST = COLOURS[:4]


def linear(colour: str) -> NDArray[np.float64]:
    """The linear RGB of a colour."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB of a linear RGB."""
    ratio = TO_XYZ @ rgb.clip(0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def closest(colours: tuple[str, ...], vision: str) -> float:
    """The smallest difference (CIE 1976) between two colours as somebody sees them."""
    seen = [lab(np.asarray(VISION[vision]) @ linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(seen, 2))


@pytest.mark.parametrize("vision", VISION)
def test_the_first_four_colours_are_told_apart_with_any_vision(vision: str) -> None:
    assert closest(FIRST, vision) > 15  # 2.3 is the least that is noticed side by side


def test_the_simulation_finds_colours_that_are_not() -> None:
    red_and_green = ("#c00000", "#408000")
    assert closest(red_and_green, "trichromacy") > 50
    assert closest(red_and_green, "deuteranopia") < 10
    assert closest(("#0000ff", "#008080"), "tritanopia") < closest(("#0000ff", "#008080"), "trichromacy")


@pytest.mark.parametrize("colour", FIRST)
def test_lines_are_seen_on_the_white_card(colour: str) -> None:
    assert SETTINGS["figure.facecolor"] == "white"
    luminance = float(TO_XYZ[1] @ linear(colour))
    assert 1.05 / (luminance + 0.05) >= 3  # WCAG 2.2, 1.4.11


def test_each_colour_has_its_own_marker() -> None:
    assert len(set(MARKERS)) == len(MARKERS) == len(set(COLOURS)) == len(COLOURS)


def test_each_method_has_a_colour_and_marker_that_no_other_has() -> None:
    assert len(set(METHODS.values())) == len(METHODS)
    study = yaml.safe_load((Path(__file__).resolve().parents[2] / "studies" / "main.yaml").read_text(encoding="utf-8"))
    arms = [arm for tier in study["tiers"] for arm in tier["arms"]]
    assert {arm if isinstance(arm, str) else arm.get("name", arm["arm"]) for arm in arms} <= set(METHODS)


def test_methods_of_ones_own_are_told_apart_in_one_figure() -> None:
    arms = ["tsynd", *(f"mine-{number}" for number in range(16))]
    assert len({tuple(method_style(arm, arms).values()) for arm in arms}) == len(arms)


def test_the_four_methods_of_the_summary_are_told_apart_with_any_vision() -> None:
    colours = tuple(method_style(arm)["color"] for arm in ("none", "random", "tsynd", "pgd"))
    assert min(closest(colours, vision) for vision in VISION) > 15
