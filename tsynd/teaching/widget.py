"""The element of a page in which readers move an image themselves: made by `tools/make_widget.py`, shown without a kernel."""

from importlib import resources

FILE = "fool_the_classifier.html"


class PageElement:
    """A piece of HTML that a notebook shows."""

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"a page element of {len(self.html) // 1000} KB"


def fool_the_classifier() -> PageElement:
    """Return "Fool the classifier": drag an image through a slice of latent space, and see when posterior samples disagree.

    Make it the last expression of a cell, tagged `nbval-ignore-output`. Everything is computed in advance, so it needs neither a
    kernel nor a network; without JavaScript it is a grid of images.

    >>> "<figure" in fool_the_classifier().html
    True
    """
    return PageElement(resources.files("tsynd.teaching").joinpath(FILE).read_text(encoding="utf-8"))
