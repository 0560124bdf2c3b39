"""Images and labels come in: MedMNIST, a folder of your own, a file in MedMNIST layout, phantoms; small training sets."""

from tsynd.data.arrays import from_arrays
from tsynd.data.dataset import Dataset, Split
from tsynd.data.loading import load

__all__ = ["Dataset", "Split", "from_arrays", "load"]
