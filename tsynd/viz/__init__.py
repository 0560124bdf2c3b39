"""What people look at: figures of a run, its report, sliders over figures, and the review of synthetic images."""

from typing import TYPE_CHECKING, Any

from tsynd.viz.explore import Explorer, explore

if TYPE_CHECKING:
    from tsynd.viz.reviewer import Reviewer, review

__all__ = ["Explorer", "Reviewer", "explore", "review"]


def __getattr__(name: str) -> Any:
    """Import what needs widgets on first use: they take a second to import, and figures do without."""
    if name in ("Reviewer", "review"):
        from tsynd.viz import reviewer

        return getattr(reviewer, name)
    raise AttributeError(f"module 'tsynd.viz' has no attribute {name!r}")
