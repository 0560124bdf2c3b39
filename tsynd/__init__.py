"""tsynd: targeted synthetic data generation (TSynD, arXiv 2406.17473) for small sets of medical images."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsynd.config import Evaluation, RunConfig
    from tsynd.data import load
    from tsynd.pipeline import run
    from tsynd.prediction import Predictions, predict
    from tsynd.runs import Run, load_run
    from tsynd.sets import synthesize
    from tsynd.weights import load_weights

__version__ = "0.1.0"

__all__ = [
    "Evaluation", "Predictions", "Run", "RunConfig", "__version__", "load", "load_run", "load_weights", "predict", "run",
    "synthesize",
]  # fmt: skip

_HOMES = {
    "Evaluation": "tsynd.config",
    "Predictions": "tsynd.prediction",
    "Run": "tsynd.runs",
    "RunConfig": "tsynd.config",
    "load": "tsynd.data",
    "load_run": "tsynd.runs",
    "load_weights": "tsynd.weights",
    "predict": "tsynd.prediction",
    "run": "tsynd.pipeline",
    "synthesize": "tsynd.sets",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import tsynd` itself costs nothing."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tsynd' has no attribute {name!r}")
