"""What people look at: figures of a run, its report, sliders over figures, and the review of synthetic images."""

from typing import Any

from tsynd.viz.explore import explore

__all__ = ["explore", "review"]


def __getattr__(name: str) -> Any:
    """Import `review` on first use: widgets take a second to import, and figures do without."""
    if name == "review":
        from tsynd.viz.reviewer import review

        return review
    raise AttributeError(f"module 'tsynd.viz' has no attribute {name!r}")
