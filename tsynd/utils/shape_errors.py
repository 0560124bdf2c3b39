"""What torch raises when images do not fit a network, as one line that says what would."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from tsynd.errors import TsyndError
from tsynd.utils.eval_mode import weights_type

# What a network raises when its input does not fit; memory that ran out is another matter.
_MISFITS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn what torch raises inside the block, when shapes or types do not fit, into one line that begins with `what`."""
    try:
        yield
    except (TsyndError, torch.OutOfMemoryError):
        raise
    except _MISFITS as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise TsyndError(f"{what}: {reason[0]}") from error


def check_precision(images: Tensor, model: object) -> None:
    """Refuse images of another floating-point type than a model's weights; 8-bit images become float32."""
    kind, weights = torch.float32 if images.dtype == torch.uint8 else images.dtype, weights_type(model)
    if weights is not None and kind != weights and kind.is_floating_point:
        one, other = (str(each).removeprefix("torch.") for each in (kind, weights))
        verbs = {"float64": "double", "float32": "float", "float16": "half"}
        how = f"call .{verbs.get(other, other)}() on the images, or .{verbs.get(one, one)}() on the network"
        raise TsyndError(f"images are {one} and {type(model).__name__} is {other}: {how}")
