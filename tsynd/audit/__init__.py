"""Is a synthetic image still of its class, and did the search find something real? A judge, neighbours, controls, an oracle."""

from tsynd.audit.auditing import CONTROLS, GROUPS, MEASURES, Audit, audit, train_judge
from tsynd.audit.questions import Group

__all__ = ["CONTROLS", "GROUPS", "MEASURES", "Audit", "Group", "audit", "train_judge"]
