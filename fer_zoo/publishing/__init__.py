"""The zoo on the Hugging Face hub: a repository for each weights of the package."""

from fer_zoo.publishing.repository import (
    HubFile,
    Repository,
    prepare,
    prepare_all,
    publishable,
    repository_ids,
)
from fer_zoo.publishing.upload import ask_hub, publish

__all__ = [
    "HubFile",
    "Repository",
    "ask_hub",
    "prepare",
    "prepare_all",
    "publish",
    "publishable",
    "repository_ids",
]
