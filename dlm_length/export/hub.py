"""Records and a report as a data set on the Hugging Face hub."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_length.common import ConfigError, UserError
from dlm_length.records import find_runs

if TYPE_CHECKING:
    from huggingface_hub import HfApi

REPORT = "report"
"""The report's folder in the repository."""


@dataclass(frozen=True)
class Upload:
    """What would be uploaded."""

    repo: str
    public: bool
    folders: Mapping[str, Path]
    """Local folders by their path in the repository."""

    @property
    def files(self) -> list[tuple[str, int]]:
        """Every file by its path in the repository, with its bytes."""
        return [
            (f"{place}/{name}", (folder / name).stat().st_size)
            for place, folder in self.folders.items()
            for name in _files(folder)
        ]


def plan_upload(repo: str, paths: Sequence[Path], *, report: Path | None = None, public: bool = False) -> Upload:
    """What `upload` would send: the finished runs at or below `paths` as `records/RUN`, a report as `report`.

    Raises RecordError for a path without a finished run, ConfigError for a name that no repository can have, for runs
    of one name, and for a report's folder that is not there.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ConfigError(f"--push-to-hub {repo}: no name of a repository, such as USER/NAME ({error}).") from error
    folders: dict[str, Path] = {}
    for run in find_runs(paths):
        place = f"records/{run.name}"
        if place in folders:
            raise ConfigError(f"--push-to-hub {repo}: two runs have the same name: {folders[place]} and {run}.")
        folders[place] = run
    if report is not None:
        if not (report / "sources.json").is_file():
            raise ConfigError(f"--report {report}: no report is there; `dlmlen report RUNS --out {report}` makes one.")
        folders[REPORT] = report
    return Upload(repo, public, folders)


def upload(plan: Upload, api: "HfApi | None" = None) -> str:
    """Send it, a commit per folder; what the repository has already is not sent again. Returns the page's address.

    A repository that is missing is created, private unless the plan is public. Raises UserError where the hub refuses
    or cannot be reached, and for a repository that everyone can read although the plan is private.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi() if api is None else api
    try:
        return _send(plan, api)
    except (HfHubHTTPError, HTTPError, LocalTokenNotFoundError, OSError) as error:
        raise UserError(
            f"--push-to-hub {plan.repo}: {_first_line(error)}. `hf auth login` or HF_TOKEN gives access; the same"
            " command continues the upload."
        ) from error


def _send(plan: Upload, api: "HfApi") -> str:
    url = api.create_repo(plan.repo, repo_type="dataset", private=not plan.public, exist_ok=True)
    if not plan.public and not api.repo_info(plan.repo, repo_type="dataset").private:
        raise UserError(
            f"--push-to-hub {plan.repo}: this repository is there already and everyone can read it; nothing was sent."
            " Add --public, or name another one."
        )
    for place, folder in plan.folders.items():
        api.upload_folder(
            repo_id=plan.repo,
            repo_type="dataset",
            folder_path=folder,
            path_in_repo=place,
            allow_patterns=[glob.escape(name) for name in _files(folder)],
            commit_message=f"Add {place}",
        )
    return str(url)


def _files(folder: Path) -> list[str]:
    """The files below a folder, relative to it; those whose path has a hidden part, such as locks, are left out."""
    names = (file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file())
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
