"""Fool the classifier: what the page shows is what the shipped networks say, and readers can move it."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import make_widget
import numpy as np
import pytest
import torch
from browser import Tab

from tsynd.teaching import fool_the_classifier
from tsynd.uncertainty import mutual_information

HTML = fool_the_classifier().html


@pytest.fixture(scope="module")
def shown() -> list[dict[str, Any]]:
    found = re.search(r'class="data">(.*?)</script>', HTML)
    assert found
    return list(json.loads(found[1]))


def test_it_is_light_and_needs_nothing_else() -> None:
    assert len(HTML.encode()) <= make_widget.MOST_BYTES
    assert not re.search(r"https?://|src=|@import", HTML)
    assert "{{" not in HTML


def test_its_numbers_are_those_of_the_networks_that_come_with_the_package(shown: list[dict[str, Any]]) -> None:
    number, angle = next(iter(make_widget.PHANTOMS.items()))
    (fresh,), _ = make_widget.scenes_of({number: angle})
    assert np.abs(np.array(fresh["mi"]) - np.array(shown[0]["mi"])).max() < 0.01
    assert fresh["places"][: -fresh["climb"]] == shown[0]["places"][: -fresh["climb"]]


def test_votes_and_mutual_information_agree(shown: list[dict[str, Any]]) -> None:
    for scene in shown:
        share = np.frombuffer(base64.b64decode(scene["votes"]), dtype=np.uint8).reshape(len(scene["mi"]), 64) / 255
        both = torch.tensor(np.stack([1 - share, share], axis=-1)).clamp(1e-6, 1).log()
        assert np.abs(mutual_information(both).numpy() - np.array(scene["mi"])).max() < 0.02


def test_the_search_finds_more_disagreement_than_there_was_at_the_start(shown: list[dict[str, Any]]) -> None:
    for scene in shown:
        climb = scene["mi"][-scene["climb"] :]
        assert max(climb) > 20 * max(climb[0], 0.001)
        assert np.hypot(*np.array(scene["places"]).T).max() < 1.001


PLAY = """(async () => {
  const block = document.querySelector('.tsynd-fool'), pad = block.querySelector('.pad');
  const text = (name) => block.querySelector(name).textContent;
  const press = (name) => block.querySelector(`[data-do=${name}]`).click();
  const said = [text('.amount')];
  for (let step = 0; step < 7; step++) pad.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowUp', bubbles: true}));
  said.push(text('.amount'));
  press('two'); said.push(text('.tally')); press('climb'); press('climb');
  await new Promise((done) => setTimeout(done, 4000));
  return [...said, text('.said'), getComputedStyle(block.querySelector('.stills')).display];
})()"""


def page(folder: Path) -> Path:
    path = folder / "page.html"
    path.write_text(f"<!doctype html><html lang=en><meta charset=utf-8><title>A test</title><main><h1>A test</h1>{HTML}</main>")
    return path


def test_a_reader_moves_the_image_and_two_readers_play_against_the_search(tab: Tab, tmp_path: Path) -> None:
    tab.open(page(tmp_path))
    start, moved, hidden, verdict, stills = tab.run(PLAY)
    assert start != moved
    assert "hidden while you play" in hidden
    assert re.search(r"wins\. .*Reader 1: [\d.]+ nats.*", verdict)
    assert stills == "none"
    assert tab.errors == []


def test_without_scripts_there_is_a_grid_of_images(tab: Tab, tmp_path: Path) -> None:
    tab.open(page(tmp_path), scripts=False)
    tab.send("Emulation.setScriptExecutionDisabled", value=False)
    assert HTML.count('class="still"') == 4 * len(make_widget.PHANTOMS)
    assert tab.run("getComputedStyle(document.querySelector('.live')).display") == "none"
