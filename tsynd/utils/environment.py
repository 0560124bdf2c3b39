"""What a result was made with: versions of the software and the kind of machine, as recorded beside it."""

import platform
import re
from importlib.metadata import version
from pathlib import Path

import torch

from tsynd import __version__

_LIBRARIES = ("torch", "numpy", "torchmetrics", "kornia")


def versions() -> dict[str, str]:
    """Versions of tsynd, Python and the libraries whose change may change a number."""
    return {"tsynd": __version__, "python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}


def device_name(device: torch.device) -> str:
    """The device's own name: of the GPU, or of the processor with the number of threads in use."""
    if device.type == "cpu":
        return f"cpu: {processor()}, {torch.get_num_threads()} thread(s)"
    if torch.cuda.is_available() and device.type == torch.device(0).type:  # device(0) is none without an accelerator
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return str(device)


def processor() -> str:
    """The processor's model where the system tells it, else its architecture."""
    information = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", information.read_text()) if information.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


# Raised by hand when the numbers of a run may change; results of different versions are never compared.
METHOD_VERSION = 4
