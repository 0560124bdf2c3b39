"""Cheap diagnostics before and after an attack: is a robustness figure one of the model, or of a weak attack?

`checks_before` asks whether the model can be attacked by its gradient at all, `checks_after` whether an attack behaves as
attacks must (Carlini et al. 2019, arXiv 1902.06705; Athalye et al., ICML 2018, arXiv 1802.00420; in spirit the checks of
AutoAttack). Nothing is raised for what is found: each answer says what it means and what to do. All that passes is no proof.
"""

from tsynd.robustness.attacks.check import Check
from tsynd.robustness.attacks.checks_after import checks_after
from tsynd.robustness.attacks.checks_before import CLASSES_NEEDED, checks_before

__all__ = ["CLASSES_NEEDED", "Check", "checks_after", "checks_before"]
