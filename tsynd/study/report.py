"""`tsynd study report`: what came out of a study, claim by claim, as text, tables and figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from tsynd.study.claims import MARGIN, Claim
from tsynd.study.comparisons import MEAN, Answers, Difference, against, compared, main_sizes
from tsynd.study.figures import forest, pareto
from tsynd.study.markdown import NAMES, markdown, said
from tsynd.study.records import STUDY, read_yaml, write_table
from tsynd.study.statistics import holm, verdict
from tsynd.study.table import MEASURES, as_csv, row
from tsynd.utils.atomic_files import write_text
from tsynd.utils.plotting import save
from tsynd.utils.rules import validated

REPORT = "report"
# The columns of the tables.
FIELDS = "claim data per_class arm other measure seeds mean low high p p_holm verdict components_low components_high"
MEANS = f"data per_class arm seeds {' '.join(MEASURES)} seconds cost"
CHECKS = "arm runs failed which"
CLAIMS = "claim text verdict sentence"


@validated
def write_report(folder: str | Path) -> dict[str, str]:
    """Write `runs.csv` again, and `report/` with report.md, claims.csv, differences.csv, means.csv, checks.csv and the figures.

    The same records give the same files, byte for byte. Differences have the sign that makes better positive.

    Args:
        folder: of the study; it may be unfinished: what is there is compared, and how much is there is said.

    Returns:
        The verdict of each claim, by its name.

    Raises:
        TsyndError: when the folder holds no runs, or of several versions of the method.
    """
    folder = Path(folder)
    answers = Answers(folder)
    study = read_yaml(folder / STUDY)
    write_table(folder)
    decided = [Claim.read(each) for each in study.get("claims", [])]
    found = list(compared(answers, decided, main_sizes(study)))
    lines = [_line(claim, each) for claim, each in found]
    _adjust(found, lines)
    checks = _checks(answers)
    claims = _claims(found, lines, checks)
    means = _means(answers)
    out = folder / REPORT
    tables = {"differences": (FIELDS, lines), "means": (MEANS, means), "checks": (CHECKS, checks), "claims": (CLAIMS, claims)}
    for name, (columns, rows) in tables.items():
        write_text(out / f"{name}.csv", as_csv(columns.split(), rows))
    to_none = list(against(answers, "none", study["primaries"]))
    save(forest(to_none), out / "forest.svg")
    save(pareto(means), out / "pareto.svg")
    write_text(out / "report.md", markdown(study, answers.records, claims, lines, means, checks))
    return {each["claim"]: each["verdict"] for each in claims}


def _line(claim: Claim, each: Difference) -> dict[str, Any]:
    shift = MARGIN if claim.not_worse else 0.0
    found = verdict(each.found.low + shift, each.found.high + shift)
    numbers: dict[str, Any] = {name: round(getattr(each.found, name), 5) for name in ("mean", "low", "high", "p")}
    components = {f"components_{end}": round(getattr(each.components, end), 5) for end in ("low", "high")}
    where = {"data": each.place[0], "per_class": each.place[1], "arm": each.arm, "other": each.other, "measure": each.measure}
    if claim.not_worse:
        numbers["p"] = ""  # it would be of no difference, which is not what is asked
    return {"claim": claim.name} | where | {"seeds": each.seeds} | numbers | {"p_holm": "", "verdict": found} | components


def _adjust(found: Sequence[tuple[Claim, Difference]], lines: Sequence[dict[str, Any]]) -> None:
    """Holm over the measures that decide together, for each pair of arms and place. In place."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for (claim, _), line in zip(found, lines, strict=True):
        if claim.every and not claim.not_worse and line["measure"] in claim.measures:
            groups.setdefault((claim.name, line["data"], line["per_class"], line["other"]), []).append(line)
    for group in groups.values():
        for line, adjusted in zip(group, holm([line["p"] for line in group]), strict=True):
            line["p_holm"] = round(adjusted, 5)
            if line["verdict"] == "supported" and adjusted > 0.05:
                line["verdict"] = "undecided"


def _claims(
    found: Sequence[tuple[Claim, Difference]], lines: Sequence[dict[str, Any]], checks: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """A verdict and a sentence for each claim, from the means over sets."""
    rows = []
    for claim in dict.fromkeys(claim for claim, _ in found):
        deciding = claim.measures if claim.every else claim.measures[:1]
        of_claim = [
            line for line in lines if line["claim"] == claim.name and line["data"] == MEAN and line["measure"] in deciding
        ]
        verdicts = Counter(line["verdict"] for line in of_claim)
        missing = {(other, name) for other in claim.others for name in deciding} - {
            (each["other"], each["measure"]) for each in of_claim
        }
        whole = "undecided"
        if verdicts["not supported"]:
            whole = "not supported"
        elif verdicts["supported"] == len(of_claim) and not missing:
            whole = "supported"
        of_arm = [row for row in checks if row["arm"] == claim.arm] if claim.unmasked else []
        failed = [row for row in of_arm if row["failed"]]
        if whole == "supported" and claim.unmasked and (failed or not of_arm):
            whole = "undecided"
        margin = f", by more than −{MARGIN}" if claim.not_worse else ""
        parts = "; ".join(f"{said(line)}: {line['verdict']}" for line in of_claim)
        seeds = min((line["seeds"] for line in of_claim), default=0)
        absent = (
            f" Not measured: {', '.join(sorted(f'{NAMES[name]} against {other}' for other, name in missing))}." if missing else ""
        )
        doubt = "".join(f" A check failed in {row['failed']} of its {row['runs']} runs ({row['which']})." for row in failed)
        sentence = f"{claim.text}: {whole} with {seeds} seeds. {claim.arm} minus the others{margin}: {parts}.{absent}{doubt}"
        rows.append({"claim": claim.name, "text": claim.text, "verdict": whole, "sentence": sentence})
    return rows


def _means(answers: Answers) -> list[dict[str, Any]]:
    """The mean of each measure over the seeds of an arm, as they stand in `runs.csv`; of time the median.

    A machine that was busy or asleep during one run would spoil a mean. The cost is the median over seeds of the seconds
    relative to those of `none` at the same seed.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for record in answers.records:
        if record["status"] == "done":
            groups.setdefault((record["data"], str(record["per_class"]), record["arm"]), []).append(row(record))
    rows = []
    for (data, per_class, arm), runs in sorted(groups.items()):
        values = {name: [run[name] for run in runs if run[name] is not None] for name in MEASURES}
        means = {name: round(fmean(each), 5) if each else "" for name, each in values.items()}
        base = {run["seed"]: run["seconds"] for run in groups.get((data, per_class, "none"), ())}
        ratios = [run["seconds"] / base[run["seed"]] for run in runs if base.get(run["seed"])]
        cost = {"seconds": round(median(run["seconds"] for run in runs), 2), "cost": round(median(ratios), 3) if ratios else ""}
        rows.append({"data": data, "per_class": per_class, "arm": arm, "seeds": len(runs)} | means | cost)
    return rows


def _checks(answers: Answers) -> list[dict[str, Any]]:
    """For each arm that was attacked strongly: in how many runs a check of gradients or attacks failed, and which."""
    rows: dict[str, dict[str, Any]] = {}
    for record in answers.records:
        if record["status"] == "done" and (checks := record["metrics"].get("checks")):
            found = rows.setdefault(record["arm"], {"arm": record["arm"], "runs": 0, "failed": 0, "which": ""})
            failed = [check["name"] for check in checks if not check["passed"]]
            found["runs"] += 1
            if failed:
                found["failed"] += 1
                told = f"{record['data']}, seed {record['seed']}: {', '.join(failed)}"
                found["which"] = "; ".join(filter(None, (found["which"], told)))
    return [rows[arm] for arm in sorted(rows)]
