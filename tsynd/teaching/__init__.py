"""What only notebooks import: checkers of exercises, figures of chapters, sliders over figures, and a page element."""

from tsynd.teaching.slider import explore
from tsynd.teaching.widget import fool_the_classifier

__all__ = ["explore", "fool_the_classifier"]
