"""Phantoms: ultrasound-like images of breast lesions whose truth is known, differentiable in the factors that made them."""

from tsynd.data.phantom.factors import Factors, sample_factors
from tsynd.data.phantom.phantoms import phantom
from tsynd.data.phantom.rendering import lesion_masks, render
from tsynd.data.phantom.rule import classify, subgroup

__all__ = ["Factors", "classify", "lesion_masks", "phantom", "render", "sample_factors", "subgroup"]
