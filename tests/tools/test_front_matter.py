"""tools/front_matter.py: each key of the front matter spoilt once, and what the generated cells say."""

from pathlib import Path
from typing import Any

import front_matter
import nbformat
import pytest
import run_facts
import yaml
from nbformat.v4 import new_notebook

from tsynd.utils.atomic_files import write_json

ROOT = Path(__file__).resolve().parents[2]
GOOD: dict[str, Any] = {
    "title": "Uncertainty",
    "step": "uncertainty",
    "objectives": [{"id": f"{name}-it", "text": f"{name} what it is"} for name in ("say", "see", "do")],
    "minutes_reading": 12,
    "device": "cpu",
    "data": ["phantom", "breastmnist"],
    "needs": ["00_first"],
}


def test_good_front_matter_has_no_problems() -> None:
    assert list(front_matter.problems(GOOD)) == []
    assert list(front_matter.problems(GOOD | {"step": None, "numbers": {"0.5": "a coin"}})) == []


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "no front matter"),
        ({key: value for key, value in GOOD.items() if key != "needs"}, "front matter lacks needs"),
        (GOOD | {"minuts": 3}, "front matter has an unknown key minuts"),
        (GOOD | {"minutes_reading": "12"}, "front matter: minutes_reading cannot be '12'"),
        (GOOD | {"numbers": ["0.5"]}, "front matter: numbers cannot be ['0.5']"),
        (GOOD | {"step": "search"}, "front matter: step must be one of images, autoencoding"),
        (GOOD | {"device": "tpu"}, "front matter: device must be one of cpu, gpu, got 'tpu'"),
        (GOOD | {"data": ["brestmnist"]}, "front matter: unknown data 'brestmnist'"),
        (GOOD | {"objectives": GOOD["objectives"][:2]}, "front matter: 3 to 5 objectives are asked for, got 2"),
        (GOOD | {"objectives": [*GOOD["objectives"], {"id": "a"}]}, "front matter: an objective has an id and a text"),
        (
            GOOD | {"objectives": [*GOOD["objectives"], {"id": "Mi_By", "text": "do"}]},
            "front matter: the id of an objective is words-with-hyphens, got 'Mi_By'",
        ),
    ],
)
def test_each_mistake_is_the_one_problem(metadata: Any, message: str) -> None:
    (line,) = front_matter.problems(metadata)
    assert line.startswith(message)


def test_the_info_box_says_what_was_measured_and_where_one_is(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "01_uncertainty.ipynb"
    nbformat.write(new_notebook(metadata={"tsynd": {"title": "The first"}}), path.parent / "00_first.ipynb")
    assert "12 minutes to read, time to run not measured yet" in front_matter.info(GOOD, path)
    write_json(run_facts.place(path), {"processor_seconds": 61})
    box = front_matter.info(GOOD, path)
    assert "12 minutes to read, about 1½ minutes to run on one core" in box
    assert "phantoms, drawn by this package; BreastMNIST, 0.6 MB, downloaded on first use, CC BY 4.0" in box
    assert "[The first](00_first.ipynb)" in box
    assert "**You are here:** images → autoencoding → **uncertainty** → targeting → training → robustness → study" in box
    assert "/book/scope.html)" in box, "Colab cannot follow a relative link"
    assert "nothing" in front_matter.info(GOOD | {"needs": [], "step": None}, path)


def test_objectives_are_a_list_with_their_verbs_in_bold() -> None:
    assert front_matter.objectives(GOOD, Path("a.ipynb")).endswith(
        "- **say** what it is;\n- **see** what it is;\n- **do** what it is."
    )


def test_the_set_up_cell_installs_from_the_book_s_repository() -> None:
    url = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]
    assert f"%pip install --quiet git+{url}@" in front_matter.setup(GOOD, Path("a.ipynb"))
