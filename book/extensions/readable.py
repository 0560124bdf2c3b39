"""A Sphinx extension: what the tools of the book get wrong for readers, put right as each page is read and written."""

import re
from posixpath import relpath
from typing import Any

RULE = re.compile(r"~?(?:typing\.)?Annotated\[(.*?), ~?(?:tsynd\.utils\.rules\.)?Rule\(\)\]")


def setup(app: Any) -> dict[str, bool]:
    """Join in when a page has been opened, and when its content is known, after everybody else."""
    app.connect("source-read", stay_in_the_book)
    app.connect("html-page-context", put_right, priority=1000)
    app.connect("autodoc-process-signature", without_rules)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def stay_in_the_book(app: Any, page: str, source: list[str]) -> None:
    """Make links to the published book, which a notebook in Colab needs, links within this one: it is read offline."""
    book = f"]({app.config.html_baseurl.rstrip('/')}/"
    folder = page.rpartition("/")[0]
    for name in app.env.found_docs:
        ending = "ipynb" if name.startswith("notebooks/") else "md"
        for end in ")#":  # of the whole page, or of a section
            source[0] = source[0].replace(f"{book}{name}.html{end}", f"]({relpath(name, folder or '.')}.{ending}{end}")


def without_rules(app: Any, what: str, name: str, value: Any, options: Any, call: str | None, answer: str | None) -> Any:
    """Show a parameter's type without the rule that is declared with it: the text below says the range."""
    return call and RULE.sub(r"\1", call), answer


def put_right(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Drop thebe's scripts, which are off but there twice, an error each time; let a list of references have items, the
    buttons of the side bar names, and those of folded cells the names that they show.
    """
    context["script_files"] = [script for script in context["script_files"] if "thebe" not in f"{script} {_body(script)}".lower()]
    if "generate_toctree_html" in context:
        context["generate_toctree_html"] = _named_toggles(context["generate_toctree_html"])
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = context["body"].replace('<summary aria-label="Toggle hidden content">', "<summary>")  # its text says it


def _named_toggles(toctree: Any) -> Any:
    """The theme's function that makes the side bar, with words for the buttons that unfold a page's sections."""
    return lambda *args, **kwargs: str(toctree(*args, **kwargs)).replace(
        "<summary>", '<summary aria-label="pages below this one">'
    )


def _body(script: Any) -> str:
    """What stands in a script that is no file."""
    return str(getattr(script, "attributes", {}).get("body", ""))
