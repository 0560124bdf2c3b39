"""tsynd: targeted synthetic data generation (TSynD, arXiv 2406.17473) for small sets of medical images."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsynd.data import load
    from tsynd.runs.config import Evaluation, RunConfig
    from tsynd.runs.pipeline import run
    from tsynd.runs.prediction import Predictions, predict
    from tsynd.runs.run import Run, load_run
    from tsynd.runs.synthesize import synthesize
    from tsynd.utils.user_weights import load_weights

__version__ = "0.1.0"

__all__ = [
    "Evaluation", "Predictions", "Run", "RunConfig", "__version__", "load", "load_run", "load_weights", "predict", "run",
    "synthesize",
]  # fmt: skip

_HOMES = {
    "Evaluation": "tsynd.runs.config",
    "Predictions": "tsynd.runs.prediction",
    "Run": "tsynd.runs.run",
    "RunConfig": "tsynd.runs.config",
    "load": "tsynd.data",
    "load_run": "tsynd.runs.run",
    "load_weights": "tsynd.utils.user_weights",
    "predict": "tsynd.runs.prediction",
    "run": "tsynd.runs.pipeline",
    "synthesize": "tsynd.runs.synthesize",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import tsynd` itself costs nothing."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tsynd' has no attribute {name!r}")
