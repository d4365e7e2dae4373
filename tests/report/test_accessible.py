"""axe-core on every kind of page, in both themes: nothing keeps people from reading it."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.browser import CHROMIUM, NO_CHROMIUM, UNFOLD, browser
from helpers.fake_pages import PAGES

AXE = find_spec("axe_core_python")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
    pytest.mark.skipif(AXE is None, reason="axe-core-python is not installed"),
]
RUN = """axe.run().then(found => found.violations.map(
  one => [one.impact, one.id, one.nodes.map(node => node.html.slice(0, 120) + ' ' + node.any.map(a => a.message))]))"""


def test_axe_core_finds_nothing(tmp_path: Path) -> None:
    assert AXE is not None and AXE.origin is not None
    axe = (Path(AXE.origin).parent / "axe.min.js").read_text()
    found, unlabelled = {}, "<!DOCTYPE html><html><body><img src='data:,'><p style='color:#ccc'>grey</p></body></html>"
    with browser(tmp_path) as opened:
        opened.open(unlabelled, tmp_path, width=800)
        opened.run(axe)
        assert {"image-alt", "color-contrast", "html-has-lang"} <= {one[1] for one in opened.run(RUN)}
        for name, made in PAGES.items():
            opened.open(made(), tmp_path, width=800)
            opened.run(axe)
            opened.run(UNFOLD)
            for dark in (False, True):
                opened.look(width=800, dark=dark)
                found[name, dark] = opened.run(RUN)
    (tmp_path / "axe.json").write_text(json.dumps({str(key): value for key, value in found.items()}, indent=1))
    assert not any(found.values()), found  # nothing moderate or minor either
