"""What only notebooks import: checkers of exercises, figures of chapters, and sliders over figures."""

from tsynd.teaching.slider import Explorer, explore

__all__ = ["Explorer", "explore"]
