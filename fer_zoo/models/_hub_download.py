"""Files of the Hugging Face hub: whole ones, or an error that says what to do."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.utils import LocalEntryNotFoundError  # type: ignore[attr-defined]

from fer_zoo.errors import WeightsError

_logger = logging.getLogger(__name__)
#: The status of HTTP for a part that a file does not have.
_NO_SUCH_RANGE = 416


def download(
    model_id: str,
    names: Sequence[str],
    cache_dir: str | Path | None,
    fault: Callable[[Path], str],
) -> Path:
    """Downloads files of a repository, or finds them in the cache.

    Files that turn out to be damaged are downloaded once more: the cache would keep them.

    Args:
        model_id: ``owner/name`` or ``owner/name@revision``.
        names: The files.
        cache_dir: The hub's cache, where it is not the usual one.
        fault: Says what is wrong with the files in a folder; empty if nothing is.

    Returns:
        The folder that holds them.

    Raises:
        WeightsError: If a file cannot be had, or is damaged on the hub too.
    """
    folder = _download(model_id, names, cache_dir)
    if not (said := fault(folder)):
        return folder
    _logger.warning("hf-hub:%s is downloaded again: %s", model_id, said)
    folder = _download(model_id, names, cache_dir, force=True)
    if said := fault(folder):
        raise WeightsError(
            f"hf-hub:{model_id}: {said}, after a second download too: ask its owner, or give "
            "another revision or a local folder"
        )
    return folder


def _download(
    model_id: str, names: Sequence[str], cache_dir: str | Path | None, force: bool = False
) -> Path:
    repo, _, revision = model_id.partition("@")
    place: dict[str, Any] = {"revision": revision or None, "cache_dir": cache_dir}
    for name in names:
        try:
            if not isinstance(huggingface_hub.try_to_load_from_cache(repo, name, **place), str):
                _logger.info("getting %s of hf-hub:%s", name, model_id)
            path = huggingface_hub.hf_hub_download(repo, name, force_download=force, **place)
        # requests, httpx and Xet have each their own, and the hub's own are of several kinds
        except Exception as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status == _NO_SUCH_RANGE and not force:  # what is left of a download is too long
                return _download(model_id, names, cache_dir, force=True)
            raise WeightsError(
                f"cannot get {name} of hf-hub:{model_id} ({in_words(error)}); try again, check the "
                "name, the revision, the network and the login, or give a local folder"
            ) from error
    return Path(path).parent


def in_words(error: Exception) -> str:
    """Returns what an error of the hub says, in one line."""
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # that a file is not in the cache either says little
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
