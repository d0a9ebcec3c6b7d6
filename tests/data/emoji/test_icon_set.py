"""Reading a package of drawings."""

import re
from pathlib import Path

import pytest

from gcahng.data.emoji.icon_set import IconSet, read_icon_set
from tests.data.emoji.drawn import CODES, INFO, contents, package


def test_a_drawing_is_a_file_of_its_own() -> None:
    icons = {
        "icons": {"a": {"body": "<path/>"}, "b": {"body": "<g/>", "left": -2, "width": 20}},
        "height": 18,
    }
    one = IconSet("one", icons, {}, {}, INFO)
    start = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    assert one.svg("a") == f'{start}viewBox="0 0 16 18"><path/></svg>'
    assert one.svg("b") == f'{start}viewBox="-2 0 20 18"><g/></svg>'


def test_a_package_is_read_and_attributed(tmp_path: Path) -> None:
    package(tmp_path, "round", contents(["dog", "cat"], "red", CODES))
    one = read_icon_set(tmp_path / "iconify-json-round-1.0.0.tgz", "round")
    assert one.codes == CODES
    assert one.category == {"dog": "Animals", "cat": "Animals"}
    assert one.attribution == (
        "- `round.png`: Round Things by A. Painter (https://example.org), CC BY 4.0 "
        "(https://example.org/by)"
    )


def test_other_packages_are_refused(tmp_path: Path) -> None:
    package(tmp_path, "other", {"icons": {}})
    (tmp_path / "text.tgz").write_text("nothing of the kind")
    for name in ("iconify-json-other-1.0.0.tgz", "text.tgz"):
        words = (
            f"^'{re.escape(str(tmp_path / name))}' is no package of drawings .*: fetch it again$"
        )
        with pytest.raises(ValueError, match=words):
            read_icon_set(tmp_path / name, "other")
