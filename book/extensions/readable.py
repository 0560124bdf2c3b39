"""A Sphinx extension: what the tools of the book get wrong for readers, put right as each page is written."""

from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Join in when a page's content is known, after everybody else."""
    app.connect("html-page-context", put_right, priority=1000)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def put_right(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Drop thebe's scripts, which are off but there twice, an error each time; let a list of references have items."""
    context["script_files"] = [script for script in context["script_files"] if "thebe" not in f"{script} {_body(script)}".lower()]
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def _body(script: Any) -> str:
    """What stands in a script that is no file."""
    return str(getattr(script, "attributes", {}).get("body", ""))
