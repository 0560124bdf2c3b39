"""tools/run_notebooks.py: the canonical form, and each rule broken once and found."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import front_matter
import nbformat
import pytest
import run_facts
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_form import canonical, findings
from run_notebooks import main

FRONT = {
    "title": "A title",
    "step": "uncertainty",
    "objectives": [{"id": name, "text": f"do {name}"} for name in ("a", "b", "c")],
    "minutes_reading": 1,
    "device": "cpu",
    "data": ["phantom"],
    "needs": [],
}
GENERATED = [
    new_markdown_cell("replaced", metadata={"tags": ["info"]}),
    new_markdown_cell("replaced", metadata={"tags": ["objectives"]}),
    new_code_cell("replaced", execution_count=10, metadata={"tags": ["setup"]}),
]


def image(mime: str = "image/png") -> NotebookNode:
    return new_output("display_data", data={mime: "iVBORw0KGgo/tmp/AAAA" if mime == "image/png" else "<svg/>"})


def good() -> NotebookNode:
    """A notebook with one cell of each kind that the rules speak of."""
    return new_notebook(
        metadata={"tsynd": FRONT, "accelerator": "GPU", "widgets": {"state": "random"}},
        cells=[
            new_markdown_cell("# A title"),
            new_code_cell("print(1)", execution_count=7, outputs=[new_output("stream", name="stdout", text="1\n")]),
            new_code_cell("plot()", execution_count=9, outputs=[image()]),
            new_code_cell("train()", metadata={"tags": ["skip-execution", "nbval-skip"]}),
            *copy.deepcopy(GENERATED),
        ],
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A book's folder of notebooks."""
    (tmp_path / "notebooks").mkdir()
    return tmp_path / "notebooks"


def write(folder: Path, notebook: NotebookNode, *, as_is: bool = False) -> Path:
    path = folder / "a.ipynb"
    front_matter.fill(notebook, path)
    path.write_text(nbformat.writes(notebook) if as_is else canonical(notebook), encoding="utf-8")
    return path


def test_a_canonical_notebook_has_no_findings(folder: Path) -> None:
    assert findings(write(folder, good())) == []


def test_canonical_form_is_stable_and_keeps_what_means_something() -> None:
    text = canonical(good())
    assert canonical(nbformat.reads(text, as_version=4)) == text
    assert text.endswith("}\n")
    form = json.loads(text)
    assert [cell["id"] for cell in form["cells"]] == [f"cell-0{number}" for number in range(1, 8)]
    assert [cell.get("execution_count") for cell in form["cells"]] == [None, 1, 2, None, None, None, 3]
    assert set(form["metadata"]) == {"kernelspec", "language_info", "tsynd", "accelerator"}


def test_canonical_form_joins_what_was_printed_and_drops_live_widgets() -> None:
    streams = [new_output("stream", name="stdout", text=text) for text in ("a", "b\n")]
    widget = new_output(
        "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "random"}, "text/html": "<p>static</p>"}
    )
    only_live = new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": "random"}})
    cell = new_code_cell("f()", execution_count=1, outputs=[*streams, widget, only_live, *streams])
    outputs = nbformat.reads(canonical(new_notebook(cells=[cell])), as_version=4).cells[0].outputs
    assert [output.get("text") for output in outputs] == ["ab\n", None, "ab\n"]
    assert set(outputs[1].data) == {"text/html"}


def set_source(notebook: NotebookNode) -> None:
    notebook.cells[0].source = " "


def set_tag(notebook: NotebookNode) -> None:
    notebook.cells[3].metadata.tags = ["skip-execution"]


def set_other_tag(notebook: NotebookNode) -> None:
    notebook.cells[1].metadata.tags = ["nbval-skip"]


def set_stderr(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs.append(new_output("stream", name="stderr", text="UserWarning: old\n"))


def set_error(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs.append(new_output("error", ename="ValueError", evalue="bad", traceback=[]))


def set_path(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs[0].text = "saved in /home/somebody/runs\n"


def set_path_in_html(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs.append(new_output("display_data", data={"text/html": "<a href='/tmp/x'>x</a>"}))


def set_address(notebook: NotebookNode) -> None:
    notebook.cells[1].outputs[0].text = "<object at 0x7f91e266f240>\n"


def set_count(notebook: NotebookNode) -> None:
    notebook.cells[1].execution_count = None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (set_source, "cell 1: empty"),
        (set_tag, "cell 4: the tags skip-execution and nbval-skip go together"),
        (set_other_tag, "cell 2: the tags skip-execution and nbval-skip go together"),
        (set_stderr, "cell 2: output on stderr: 'UserWarning: old'"),
        (set_error, "cell 2: it failed: ValueError"),
        (set_path, "cell 2: a path of one machine in its output: /home/somebody"),
        (set_path_in_html, "cell 2: a path of one machine in its output: /tmp/x"),
        (set_address, "cell 2: a memory address"),
        (set_count, "execution counts are [None, 1, 2], not 1..3"),
    ],
)
def test_each_broken_rule_is_the_one_finding(folder: Path, spoil: Callable[[NotebookNode], None], message: str) -> None:
    notebook = good()
    spoil(notebook)
    lines = findings(write(folder, notebook))
    assert len(lines) == 1
    assert lines[0].startswith(f"a.ipynb: {message}")


def test_form_counts_and_files_that_are_no_notebooks(folder: Path) -> None:
    lines = findings(write(folder, good(), as_is=True))
    assert [line.split(" (")[0] for line in lines] == [
        "a.ipynb: execution counts are [7, 9, 10], not 1..3: nbval would skip cells",
        "a.ipynb: not in canonical form, or a generated cell is out of date",
    ]
    path = folder / "a.ipynb"
    for text in ("not json", "[]", '{"a": 1}'):
        path.write_text(text, encoding="utf-8")
        assert findings(path) == ["a.ipynb: not a notebook"]
        assert main([], folder) == 1


def test_generated_cells_are_written_and_missed(folder: Path) -> None:
    notebook = nbformat.read(write(folder, good()), as_version=4)
    assert "replaced" not in [cell.source for cell in notebook.cells]
    del notebook.cells[4:]
    assert findings(write(folder, notebook)) == [
        f"a.ipynb: one cell has the tag {tag}, got 0" for tag in ("info", "objectives", "setup")
    ]


def test_a_generated_cell_that_was_edited_is_found(folder: Path) -> None:
    path = write(folder, good())
    path.write_text(path.read_text(encoding="utf-8").replace("1 minute to read", "2 minutes to read"), encoding="utf-8")
    assert findings(path) == ["a.ipynb: not in canonical form, or a generated cell is out of date (make notebooks)"]


def test_front_matter_that_is_not_valid_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(folder, good())
    notebook = nbformat.read(path, as_version=4)
    del notebook.metadata.tsynd["needs"]
    path.write_text(canonical(notebook), encoding="utf-8")
    assert findings(path) == []  # check_book.py's to say
    assert main([], folder) == 1
    assert capsys.readouterr().err == "error: a.ipynb: front matter lacks needs\n"


def test_addresses_on_the_web_are_not_local_paths(folder: Path) -> None:
    notebook = good()
    notebook.cells[1].outputs[0].text = "https://example.org/home/page and a/b and ~/.medmnist and 1/2\n"
    assert findings(write(folder, notebook)) == []


def test_check_exits_with_1_on_findings_and_prints_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, good())
    assert main(["--check"], folder) == 0
    write(folder, good(), as_is=True)
    capsys.readouterr()
    assert main(["--check", "--only", "a"], folder) == 1
    assert capsys.readouterr().out.count("\n") == 2


def test_unknown_and_missing_notebooks_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], folder) == 2
    write(folder, good())
    capsys.readouterr()
    assert main(["--only", "b"], folder) == 2
    assert "no notebook 'b'" in capsys.readouterr().err


def of_cells(*cells: NotebookNode) -> NotebookNode:
    return new_notebook(metadata={"tsynd": FRONT}, cells=[*copy.deepcopy(GENERATED), *cells])


def test_a_run_writes_outputs_twice_the_same_and_records_what_it_took(folder: Path) -> None:
    code = "import os, sys\nprint('a'); sys.stdout.flush()\nprint(os.environ['OMP_NUM_THREADS'])"
    path = write(folder, of_cells(new_code_cell(code), new_code_cell("1 + 1")))
    assert "not measured yet" in path.read_text(encoding="utf-8")
    assert main([], folder) == 0
    first = path.read_bytes()
    assert findings(path) == []
    notebook = nbformat.reads(first.decode(), as_version=4)
    assert notebook.cells[3].outputs[0].text == "a\n1\n"
    assert "1 minute to read, about 10 seconds to run" in notebook.cells[0].source
    facts = run_facts.read(path)
    assert facts is not None and 0 <= facts["processor_seconds"] < 10
    assert facts["threads"] == 1 and facts["sha256"] == {} and set(facts["versions"]) >= {"python", "torch", "tsynd"}
    assert main([], folder) == 0
    assert path.read_bytes() == first


def test_a_failing_notebook_is_left_as_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(folder, of_cells(new_code_cell("raise ValueError('told you')")))
    before = path.read_bytes()
    assert main([], folder) == 1
    assert path.read_bytes() == before
    assert list(folder.iterdir()) == [path] and list(folder.parent.iterdir()) == [folder]
    assert capsys.readouterr().err == "error: a.ipynb failed: ValueError: told you\n"


def test_fill_writes_the_generated_cells_and_executes_nothing(tmp_path: Path) -> None:
    notebook = good()
    path = write(tmp_path, notebook)
    kept = path.read_text(encoding="utf-8")
    stale = nbformat.reads(kept, as_version=4)
    next(cell for cell in stale.cells if "setup" in cell.metadata.get("tags", [])).source = "stale"
    path.write_text(nbformat.writes(stale), encoding="utf-8")
    assert main(["--fill"], tmp_path) == 0
    assert path.read_text(encoding="utf-8") == kept
