"""Uploading records and a report to a data set on the Hugging Face hub."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_length.common import ConfigError, UserError, brief
from dlm_length.records import find_runs

if TYPE_CHECKING:
    from huggingface_hub import HfApi

REPORT = "report"
"""The report's folder in the repository."""


@dataclass(frozen=True)
class Upload:
    """A planned upload."""

    repo: str
    """`USER/NAME` of the data set."""
    public: bool
    folders: Mapping[str, Path]
    """Path in the repository -> local folder."""

    @property
    def files(self) -> list[tuple[str, int]]:
        """(path in the repository, size in bytes) of every file."""
        return [
            (f"{place}/{name}", (folder / name).stat().st_size)
            for place, folder in self.folders.items()
            for name in _files(folder)
        ]


def plan_upload(repo: str, paths: Sequence[Path], *, report: Path | None = None, public: bool = False) -> Upload:
    """Plan the upload of the finished runs at or below `paths` as `records/RUN`, and of a report as `report`.

    Raises RecordError for a path without a finished run, ConfigError for an invalid name of a repository, for two runs
    of the same name, and for a folder without a report.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ConfigError(
            f"--push-to-hub {repo}: not the name of a repository, such as USER/NAME ({error})."
        ) from error
    folders: dict[str, Path] = {}
    for run in find_runs(paths):
        place = f"records/{run.name}"
        if place in folders:
            raise ConfigError(f"--push-to-hub {repo}: two runs have the same name: {folders[place]} and {run}.")
        folders[place] = run
    if report is not None:
        if not (report / "sources.json").is_file():
            raise ConfigError(f"--report {report}: holds no report; `dlmlen report RUNS --out {report}` makes one.")
        folders[REPORT] = report
    return Upload(repo, public, folders)


def upload(plan: Upload, api: "HfApi | None" = None) -> str:
    """Upload the folders, one commit each, and return the address of the data set's page.

    Files that the repository has already are not sent again. A missing repository is created, private unless the plan
    is public. Raises UserError where the hub refuses or cannot be reached, and for a public repository although the
    plan is private.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi() if api is None else api
    try:
        return _send(plan, api)
    except (HfHubHTTPError, HTTPError, LocalTokenNotFoundError, OSError) as error:
        raise UserError(
            f"--push-to-hub {plan.repo}: {brief(error)}. `hf auth login` or"
            " HF_TOKEN gives access; the same command continues the upload."
        ) from error


def _send(plan: Upload, api: "HfApi") -> str:
    url = api.create_repo(plan.repo, repo_type="dataset", private=not plan.public, exist_ok=True)
    if not plan.public and not api.repo_info(plan.repo, repo_type="dataset").private:
        raise UserError(
            f"--push-to-hub {plan.repo}: this repository exists already and is public; nothing was sent. Add --public,"
            " or name another one."
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
    """Paths of the files below a folder, relative to it, without hidden files and folders such as locks."""
    names = (file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file())
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]
