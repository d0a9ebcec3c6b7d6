"""Models on the Hugging Face Hub: download one, or upload a folder."""

from contextlib import suppress
from pathlib import Path

from huggingface_hub import HfApi, ModelCard, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from gcahng.models.artifact import SETTINGS, WEIGHTS, library_version
from gcahng.reasons import first_line

LIBRARY = "gcahng"
CARD = "README.md"


def download_model(name: str, revision: str | None = None) -> Path:
    """Download a shared model from the Hub, or find it in the cache.

    Args:
        name: `user/repo`.
        revision: Branch, tag or commit; default: the main branch.

    Returns:
        The folder that contains `config.json` and `model.safetensors`, both of one commit.

    Raises:
        FileNotFoundError: If the Hub has no such repository, revision or file.
        ConnectionError: If the Hub cannot be reached and the cache does not have it.
    """
    try:
        cached = not _is_reachable(name, SETTINGS, revision)
        folder = _download(name, SETTINGS, revision, cached).parent
        # The folder's name is the commit: all files are of the same, even if there is a newer one.
        _download(name, WEIGHTS, folder.name, cached)
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
        raise ConnectionError(f"'{name}' cannot be downloaded: {first_line(error)}") from error
    return folder


def _is_reachable(name: str, file: str, revision: str | None = None) -> bool:
    """Tell whether the Hub answers; unlike a download, this does not try again for half a minute.

    Raises:
        HfHubHTTPError: If it answers that there is no such repository, revision or file.
    """
    try:
        get_hf_file_metadata(hf_hub_url(name, file, revision=revision))
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError):
        raise
    except (HTTPError, OSError):
        return False
    return True


def _download(name: str, file: str, revision: str | None = None, cached: bool = False) -> Path:
    return Path(
        hf_hub_download(
            name,
            file,
            revision=revision,
            library_name=LIBRARY,
            library_version=library_version("gcahng"),
            local_files_only=cached,
        )
    )


def license_on_hub(name: str) -> str | None:
    """Read the license in the model card of a repository; None if there is none."""
    with suppress(EntryNotFoundError, HTTPError, OSError, ValueError):
        if _is_reachable(name, CARD):
            return ModelCard.load(name).data.get("license")
    return None


def upload_folder(folder: Path, name: str, private: bool = False) -> str:
    """Upload the files of a folder to a repository of the Hub, created if missing.

    Returns:
        The address of the repository.

    Raises:
        ConnectionError: If the Hub refuses it or cannot be reached.
    """
    api = HfApi(library_name=LIBRARY, library_version=library_version("gcahng"))
    try:
        api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Upload gcahng model")
    # Without a connection, the error is that of the HTTP library.
    except (HTTPError, OSError) as error:
        raise ConnectionError(
            f"'{name}' cannot be uploaded: {first_line(error)}; log in with `hf auth login`, and "
            f"check the connection and that you may write there (a folder here is './{name}')"
        ) from error
    return f"{api.endpoint}/{name}"
