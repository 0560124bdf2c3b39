"""tsynd: targeted synthetic data generation (TSynD, arXiv 2406.17473) for small sets of medical images."""

from typing import Any

__version__ = "0.1.0"

__all__ = ["RunConfig", "__version__", "load", "load_run", "load_weights", "predict", "run", "synthesize"]

_HOMES = {
    "load": "tsynd.data",
    "load_run": "tsynd.runs",
    "load_weights": "tsynd.weights",
    "predict": "tsynd.prediction",
    "run": "tsynd.pipeline",
    "RunConfig": "tsynd.config",
    "synthesize": "tsynd.sets",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import tsynd` itself costs nothing."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tsynd' has no attribute {name!r}")
