"""fer-zoo publish."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fer_zoo.cli._options import path_option

if TYPE_CHECKING:
    from fer_zoo.publishing import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Uploads the weights of the package to the Hugging Face hub: for each a repository with "
        "config.json, model.safetensors and a card. Each is loaded back and compared first. What "
        "is there already is left alone: after a failure give the same command again. It needs a "
        "token that may write: hf auth login, or HF_TOKEN."
    )
    parser.epilog = (
        "Example: fer-zoo publish --to USER --dry-run, and look at the folder hub; then fer-zoo "
        "publish --to USER"
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="weights, such as dacl.fer2013 (all)"
    )
    parser.add_argument(
        "--to", required=True, metavar="USER", help="user or organization; USER/NAME each"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="write and check all repositories, upload nothing"
    )
    parser.add_argument(
        "--out",
        type=path_option,
        metavar="DIR",
        help="where --dry-run writes: an empty folder (hub)",
    )
    parser.add_argument("--private", action="store_true", help="new repositories are private")


def run(args: argparse.Namespace) -> int:
    """Uploads, or shows what would be uploaded."""
    from fer_zoo.errors import ConfigError

    if args.out is not None and not args.dry_run:
        raise ConfigError("--out is for --dry-run; add it, or leave --out away")
    from fer_zoo import publishing

    if not args.dry_run:
        publishing.publish(
            args.names,
            args.to,
            args.private,
            say=lambda repo_id, what: print(f"{repo_id}: {what}", flush=True),
        )
        return 0
    folder = args.out or Path("hub")
    repositories = publishing.prepare_all(args.names, args.to, folder)
    print(_table(repositories))
    size = sum(file.size for repository in repositories for file in repository.files)
    valid = publishing.ask_hub(repositories)
    kind = f"{'private ' * args.private}repositor{'y' if len(repositories) == 1 else 'ies'}"
    print(
        f"\n{len(repositories)} {kind}, {size / 2**20:.1f} MiB, in {folder}; each loads and gives "
        "the logits of the package"
    )
    print(
        "the hub accepts the cards"
        if valid
        else "the hub is not reached: the cards were checked by huggingface_hub alone"
    )
    print("nothing was uploaded")
    return 0


def _table(repositories: "Sequence[Repository]") -> str:
    from tabulate import tabulate

    rows = [
        (repository.repo_id, file.name, f"{file.size:,}", file.sha256)
        for repository in repositories
        for file in repository.files
    ]
    heads, sides = ("repository", "file", "bytes", "sha256"), ("left", "left", "right", "left")
    return str(tabulate(rows, heads, "plain", colalign=sides, disable_numparse=True))
