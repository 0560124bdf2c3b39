"""What only notebooks import: checkers of exercises, figures of chapters, and elements of pages."""

from tsynd.teaching.slider import explore, fool_the_classifier

__all__ = ["explore", "fool_the_classifier"]
