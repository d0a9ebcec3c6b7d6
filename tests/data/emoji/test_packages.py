"""Finding the packages, or fetching them with npm (here a script)."""

import re
from pathlib import Path

import pytest

from gcahng.data.emoji.packages import PACKAGES, Package, package_files
from tests.data.emoji.drawn import four_packages

REGISTRY = """#!/bin/sh
echo "$@" >> {log}
for file in {folder}/*; do
    case "$2" in *"$(basename "$file" -1.0.0.tgz | sed s/iconify-json-//)"*) cp "$file" .;; esac
done
"""
BROKEN = """#!/bin/sh
echo 'npm error code ENOTFOUND' >&2
echo 'npm error syscall getaddrinfo' >&2
echo 'npm error network request to https://registry.npmjs.org failed' >&2
exit 1
"""


def _npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "npm").write_text(script)
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "cache").mkdir(parents=True)
    return tmp_path / "root"


def test_files_there_are_used_and_others_fetched(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = four_packages(tmp_path / "registry")
    log = tmp_path / "log"
    _npm(tmp_path / "bin", REGISTRY.format(log=log, folder=tmp_path / "registry"), monkeypatch)
    # One as npm calls it, one as the registry does.
    for file, name in zip(packages[:2], (packages[0].file, "green-1.0.0.tgz"), strict=True):
        (tmp_path / "registry" / file.file).rename(root / name)
    seen: list[tuple[int, int | None]] = []
    files = package_files(packages, root, root / "cache", lambda *done: seen.append(done))
    expected = [root / packages[0].file, root / "green-1.0.0.tgz"]
    assert files == [*expected, *(root / "cache" / one.file for one in packages[2:])]
    assert log.read_text().splitlines() == [f"pack {one.spec}" for one in packages[2:]]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert package_files(packages, root, root / "cache") == files
    assert len(log.read_text().splitlines()) == 2, "fetched once"


def test_without_npm_the_files_to_get_are_named(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = four_packages(root)
    for one in packages[1:3]:
        (root / one.file).unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    sentence = (
        "the drawings come through npm, which is not installed: on a machine that reaches the "
        "registry, run 'npm pack @iconify-json/green@1.0.0 @iconify-json/blue@1.0.0', put the "
        f"files into '{root}' and fetch again; missing: iconify-json-green-1.0.0.tgz, "
        "iconify-json-blue-1.0.0.tgz"
    )
    with pytest.raises(ConnectionError, match=f"^{re.escape(sentence)}$"):
        package_files(packages, root, root / "cache")


def test_offline_is_one_sentence(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _npm(tmp_path / "bin", BROKEN, monkeypatch)
    sentence = (
        "npm pack @iconify-json/red@1.0.0 failed (network request to https://registry.npmjs.org "
        "failed): on a machine that reaches the registry, run 'npm pack @iconify-json/red@1.0.0"
    )
    with pytest.raises(ConnectionError, match=f"^{re.escape(sentence)}"):
        package_files(four_packages(tmp_path / "registry"), root, root / "cache")


def test_another_file_is_refused(root: Path) -> None:
    packages = four_packages(root)
    path = root / packages[0].file
    path.write_bytes(path.read_bytes() + b"more")
    sentence = (
        f"'{path}' is not @iconify-json/red@1.0.0: its SHA-512 is another one; delete it and "
        "fetch again"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        package_files(packages, root, root / "cache")


def test_the_packages_are_pinned() -> None:
    assert [one.name for one in PACKAGES] == [
        *("noto", "noto-v1", "twemoji", "openmoji"),
        *("emojione", "emojione-v1", "fluent-emoji-flat", "fxemoji"),
    ]
    assert all(len(one.integrity) == 88 for one in PACKAGES)
    noto = Package("noto", "1.2.9", PACKAGES[0].integrity)
    assert PACKAGES[0] == noto
    assert (noto.spec, noto.file) == ("@iconify-json/noto@1.2.9", "iconify-json-noto-1.2.9.tgz")
