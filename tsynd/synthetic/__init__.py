"""Sets of synthetic images: their file, what experts decide about them, and where they look at them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsynd.synthetic.decisions import Decision, read_review, reviewed, write_review
    from tsynd.synthetic.review_widget import review
    from tsynd.synthetic.sets import read_set, write_set

__all__ = ["Decision", "read_review", "read_set", "review", "reviewed", "write_review", "write_set"]

_HOMES = {"review": "review_widget", "read_set": "sets", "write_set": "sets"}


def __getattr__(name: str) -> Any:
    """Import on first use: widgets take a second to import, and a set is read without them."""
    if name in __all__:
        return getattr(import_module(f"tsynd.synthetic.{_HOMES.get(name, 'decisions')}"), name)
    raise AttributeError(f"module 'tsynd.synthetic' has no attribute {name!r}")
