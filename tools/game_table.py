"""Write the comparisons of the pre-registration game (chapter 7) from the main study.

    python tools/game_table.py

Eight of each verdict, with ten seeds and one data set; a hash picks them, so nobody chose the ones that tell a story.
"""

import hashlib
import json
from pathlib import Path

import pandas as pd

from tsynd.teaching.exercises.preregistration import TABLE, VERDICTS
from tsynd.utils.atomic_files import write_text

ROOT = Path(__file__).resolve().parent.parent
MEASURES = {
    "auroc": "AUROC",
    "augmented": "balanced accuracy under augmentation",
    "corrupted": "balanced accuracy under corruptions",
    "pgd_2_255": "accuracy under PGD 2/255",
}
SETS = {
    "breastmnist": "BreastMNIST",
    "pneumoniamnist": "PneumoniaMNIST",
    "retinamnist": "RetinaMNIST",
    "phantom:withheld=irregular-enhancing": "phantoms",
}
# What a chapter has explained: methods of one word.
ARMS = {"tsynd", "guarded"}
OTHERS = {"none", "reconstruction", "random", "sham", "entropy", "pgd", "mixup"}
OF_EACH = 8


def table(root: Path) -> str:
    """Return the text of the table: one comparison a line."""
    runs = (
        pd.read_csv(root / "results/main/runs.csv", dtype={"per_class": str})
        .set_index(["data", "per_class", "arm", "seed"])
        .sort_index()
    )
    known = pd.read_csv(root / "results/main/report/differences.csv", dtype={"per_class": str})
    known = known[known["seeds"].eq(10) & known["measure"].isin(MEASURES) & known["data"].isin(SETS)]
    known = known[known["arm"].isin(ARMS) & known["other"].isin(OTHERS) & known["p"].notna()]
    keys = known[["arm", "other", "data", "per_class", "measure"]].astype(str).agg("|".join, axis=1)
    known = known.assign(order=keys.map(lambda key: hashlib.sha256(key.encode()).hexdigest())).drop_duplicates("order")
    chosen = known.sort_values("order").groupby("verdict", sort=False).head(OF_EACH)
    assert chosen["verdict"].value_counts().to_dict() == dict.fromkeys(VERDICTS, OF_EACH)
    lines = []
    for row in chosen.itertuples():
        ours, theirs = (runs.loc[(row.data, row.per_class, arm)][row.measure].sort_index() for arm in (row.arm, row.other))
        differences = [round(float(each), 4) for each in ours - theirs]
        assert len(differences) == 10 and abs(sum(differences) / 10 - row.mean) < 2e-4
        names = {"arm": row.arm, "other": row.other, "data": f"{SETS[row.data]}, {row.per_class} images of each class"}
        ends = {"low": row.low, "high": row.high, "verdict": row.verdict}
        lines.append(json.dumps({**names, "measure": MEASURES[row.measure], "differences": differences, **ends}))
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    write_text(TABLE, table(ROOT))
