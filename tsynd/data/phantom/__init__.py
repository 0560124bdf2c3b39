"""Phantoms: ultrasound-like images of breast lesions whose truth is known, differentiable in the factors that made them."""

from tsynd.data.phantom.factors import LIMITS, Factors, sample_factors
from tsynd.data.phantom.phantoms import OPTIONS, PhantomSplit, draw_split, phantom, withheld_in
from tsynd.data.phantom.rendering import lesion_masks, render
from tsynd.data.phantom.rule import CLASSES, SUBGROUPS, classify, malignancy, subgroup

__all__ = [
    "CLASSES", "LIMITS", "OPTIONS", "SUBGROUPS", "Factors", "PhantomSplit", "classify", "draw_split", "lesion_masks",
    "malignancy", "phantom", "render", "sample_factors", "subgroup", "withheld_in",
]  # fmt: skip
