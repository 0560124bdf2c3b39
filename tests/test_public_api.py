"""The public interface: frozen, documented, and on its page. That all of it is typed, mypy proves in `make lint`."""

import inspect

import pytest
from make_pages import ROOT
from public_api import KEPT, public_names, signature, text


def test_the_interface_is_the_one_that_was_promised() -> None:
    now, kept = text().splitlines(), KEPT.read_text(encoding="utf-8").splitlines()
    changed = [f"- {line}" for line in kept if line not in now] + [f"+ {line}" for line in now if line not in kept]
    assert not changed, "\n".join([*changed, "meant so? python tools/public_api.py --write, and a line in CHANGELOG.md"])


@pytest.mark.parametrize(("module", "name", "value"), [pytest.param(*each, id=f"{each[0]}.{each[1]}") for each in public_names()])
def test_a_public_name_is_documented(module: str, name: str, value: object) -> None:
    if not inspect.isfunction(value) and not inspect.isclass(value):
        return  # what it holds stands on the page
    assert (value.__doc__ or "").strip() and not (value.__doc__ or "").startswith(f"{name}("), f"{module}.{name} has no docstring"


def test_a_default_that_is_a_function_is_named_without_its_address() -> None:
    def call(attack: object = signature, *, eps: float = 0.5) -> None: ...

    assert signature("m", "call", call) == "m.call(attack=signature, *, eps=0.5)"


def test_the_page_has_every_name_and_who_uses_it() -> None:
    page = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    assert all(f":: {module}.{name}\n" in page for module, name, _ in public_names())
    target = page.partition(":: tsynd.targeting.target\n")[2].partition("```{eval-rst}")[0]
    assert "../notebooks/04_targeting.ipynb" in target and "../notebooks/02_autoencoding.ipynb" not in target
