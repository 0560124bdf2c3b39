"""Is a synthetic image still of its class, and did the search find something real? A judge, neighbours, controls, an oracle."""

from tsynd.audit.auditing import Audit, audit, train_judge

__all__ = ["Audit", "audit", "train_judge"]
