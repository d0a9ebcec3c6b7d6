"""Models on the Hugging Face Hub: download one, or upload a folder."""

import re
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from gcahng.runs.shared import SETTINGS, WEIGHTS

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_name(source: str) -> bool:
    """Whether this has the form of a repository's name.

    Example:
        >>> is_hub_name("user/photos"), is_hub_name("runs/a/b"), is_hub_name("/runs/a")
        (True, False, False)
    """
    return NAME.fullmatch(source) is not None


def download_model(name: str, revision: str | None = None) -> Path:
    """Download a shared model from the Hub, or find it in the cache.

    Args:
        name: `user/repo`.
        revision: Branch, tag or commit; default: the main branch.

    Returns:
        The folder that contains `config.json` and `model.safetensors`.

    Raises:
        FileNotFoundError: If the Hub has no such repository, revision or file.
        ConnectionError: If the Hub cannot be reached and the cache does not have it.
    """
    try:
        files = [
            hf_hub_download(name, file, revision=revision, library_name="gcahng")
            for file in (SETTINGS, WEIGHTS)
        ]
    # Before the more general errors: missing from the cache while offline is one of them.
    except LocalEntryNotFoundError as error:
        raise ConnectionError(
            f"'{name}' is neither a file or folder here, nor in the cache, and the Hugging Face "
            "Hub cannot be reached: check the name and the connection"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"'{name}' is neither a file or folder here, nor a repository of the Hugging Face Hub "
            "that you may read: check the name, or log in with `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"'{name}' on the Hub has no revision '{revision}'") from error
    except EntryNotFoundError as error:
        raise FileNotFoundError(
            f"'{name}' on the Hub is not a model of gcahng: it needs {SETTINGS} and {WEIGHTS}"
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise ConnectionError(
            f"'{name}' cannot be downloaded: {str(error).splitlines()[0]}"
        ) from error
    return Path(files[1]).parent


def upload_folder(folder: Path, name: str, private: bool = False) -> str:
    """Upload the files of a folder to a repository of the Hub, created if missing.

    Returns:
        The address of the repository.

    Raises:
        ConnectionError: If the Hub refuses it or cannot be reached.
    """
    api = HfApi(library_name="gcahng")
    try:
        api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Upload gcahng model")
    except (HfHubHTTPError, OSError) as error:
        raise ConnectionError(
            f"'{name}' cannot be uploaded: {str(error).splitlines()[0]}; log in with "
            "`hf auth login`, and check that you may write there"
        ) from error
    return f"{api.endpoint}/{name}"
