"""What is printed: text of users as it is."""

import pytest

from gcahng.commands.terminal import console


def test_brackets_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.print("note: embedder.freeze=[bn] fixes them", soft_wrap=True)
    assert "embedder.freeze=[bn]" in capsys.readouterr().out
