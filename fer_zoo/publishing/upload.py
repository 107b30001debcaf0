"""Uploads of the package's weights to the hub, which can be repeated after a failure."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub import ModelCard
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from fer_zoo.errors import HubError
from fer_zoo.hub import CARD_NAME, refusals
from fer_zoo.publishing.repository import Repository, prepare, repository_ids


def ask_hub(repositories: Sequence[Repository]) -> bool:
    """Has the hub validate the cards.

    Returns:
        Whether the hub was reached.

    Raises:
        HubError: If it refuses a card.
    """
    for repository in repositories:
        try:
            ModelCard.load(repository.folder / CARD_NAME).validate()
        except ValueError as error:
            raise HubError(f"the hub refuses the card of {repository.repo_id}: {error}") from error
        except Exception:  # no network: whatever requests or httpx raise
            return False
    return True


def publish(
    names: Sequence[str],
    owner: str,
    private: bool = False,
    token: str | None = None,
    say: Callable[[str, str], object] = lambda repo_id, what: None,
) -> None:
    """Uploads weights of the package, each to a repository of its own.

    A repository that has the same files already is left alone, so that a call that broke off can be
    repeated.

    Args:
        names: As for :func:`repository_ids`.
        owner: User or organization on the hub.
        private: Whether new repositories are private.
        token: A token of the hub; that of the login where not given.
        say: Is told of each repository what became of it.

    Raises:
        UnknownModelError: If there are no such weights.
        HubError: If the hub is not reached or refuses; the message says what is up.
    """
    wanted = repository_ids(names, owner)
    if not (token or huggingface_hub.get_token()):
        raise HubError(
            "there is no token of the hub: log in with hf auth login, or set HF_TOKEN to a token "
            "that may write; --dry-run needs none"
        )
    api = huggingface_hub.HfApi(token=token, library_name="fer_zoo")
    for i, (name, repo_id) in enumerate(wanted.items()):
        up = f"{i} of {len(wanted)} are up; what is missing could not be uploaded: {repo_id}"
        with tempfile.TemporaryDirectory() as folder:
            repository = prepare(name, repo_id, Path(folder))
            with refusals(up):
                url = _upload(api, repository, private)
        say(repo_id, url or "is there already")


def _upload(api: huggingface_hub.HfApi, repository: Repository, private: bool) -> str:
    """Uploads a repository; returns the address of the commit, empty if nothing had to change."""
    if _is_there(api, repository):
        return ""
    api.create_repo(repository.repo_id, private=private, exist_ok=True)
    commit = api.upload_folder(
        repo_id=repository.repo_id,
        folder_path=repository.folder,
        commit_message="Weights of fer_zoo",
    )
    return str(commit.commit_url)


def _is_there(api: huggingface_hub.HfApi, repository: Repository) -> bool:
    try:
        found = api.get_paths_info(repository.repo_id, [file.name for file in repository.files])
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return False
    known = {info.path: info for info in found if isinstance(info, RepoFile)}
    return all(
        file.name in known
        and (
            file.sha256 == lfs.sha256
            if (lfs := known[file.name].lfs)
            else file.git_sha1 == known[file.name].blob_id
        )
        for file in repository.files
    )
