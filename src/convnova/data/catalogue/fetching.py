"""Files of the catalogue into a data folder: each whole and checked, or not at all.

A file is fetched under ``DATA/.fetching`` and put in place by one rename after its check. A lock a file
lets one process fetch while others wait, and find it there.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from convnova.data.catalogue.checksums import record_checksum, what_is_wrong
from convnova.data.catalogue.folder import find_file
from convnova.data.catalogue.http import DownloadError, Patience, check_connection, download
from convnova.data.catalogue.tables import DataFile
from convnova.errors import InputError

Report = Callable[[int, int | None], None]
_NAMED_PLACES = 6


class Fetched(NamedTuple):
    """What a fetch did."""

    fetched: tuple[Path, ...]
    """Files that were fetched now."""
    present: tuple[Path, ...]
    """Files that were there already."""


def fetch_files(files: Sequence[DataFile], folder: Path, patience: Patience | None = None) -> Fetched:
    """Fetch files of the catalogue that a data folder does not hold yet, with a progress bar on stderr.

    Args:
        files: rows of the catalogue.
        folder: the data folder; it is made when it is not there.
        patience: how long to go on trying.

    Raises:
        InputError: when some could not be fetched, after all others have been: which, why, and where to put
            them by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    patience = patience or Patience()
    hosts: dict[str, str] = {}
    failures: dict[str, str] = {}
    fetched: list[Path] = []
    present: list[Path] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for number, file in enumerate(files, start=1):
            bar = progress.add_task(f"{number}/{len(files)} {file.local}", total=file.size_bytes)

            def report(done: int, total: int | None, bar=bar) -> None:  # type: ignore[no-untyped-def]
                progress.update(bar, completed=done, total=total)

            try:
                path, is_new = fetch_file(file, folder, patience, report, hosts)
                (fetched if is_new else present).append(path)
            except DownloadError as error:
                failures[file.local] = str(error)
            progress.remove_task(bar)
    if failures:
        raise InputError(_by_hand(failures, folder, len(files)))
    return Fetched(tuple(fetched), tuple(present))


def fetch_file(
    file: DataFile,
    folder: Path,
    patience: Patience,
    report: Report = lambda *_: None,
    hosts: dict[str, str] | None = None,
) -> tuple[Path, bool]:
    """Return where a file of the catalogue lies in a data folder, and whether it was fetched now.

    Args:
        file: a row of the catalogue; its sources are tried in turn.
        folder: the data folder.
        patience: how long to go on trying one source.
        report: called with the bytes that have arrived, and the size where it is known.
        hosts: why hosts could not be reached before: they are not asked again; empty text: it was.

    Raises:
        DownloadError: when no source gives the file, for the reason of each; or when another file is there.
    """
    hosts = {} if hosts is None else hosts
    target = folder / file.local
    target.parent.mkdir(parents=True, exist_ok=True)
    waiting = folder / ".fetching"
    waiting.mkdir(exist_ok=True)
    with FileLock(waiting / f"{_short_hash(file.local)}.lock"):
        if path := find_file(file, folder):
            if reason := what_is_wrong(path, file, folder):
                raise DownloadError(f"{path} is there, but {reason}: delete it and fetch again")
            return path, False
        reasons = [] if file.sources else ["no stable place to fetch it from is known"]
        for source in file.sources:
            host = _host(source)
            if hosts.get(host):
                reasons.append(hosts[host])
                continue
            try:
                if _is_hub(source):
                    if host not in hosts:  # the hub's own retries take half a minute
                        check_connection(hub_endpoint(), patience)
                        hosts[host] = ""
                    arrived = _fetch_hub(source, waiting, report)
                else:
                    arrived = _fetch_url(source, file, waiting, patience, report)
                if reason := what_is_wrong(arrived, file, folder):
                    arrived.unlink(missing_ok=True)
                    raise DownloadError(f"{host} sent another file, not kept: {reason}")
                if not file.sha256:
                    record_checksum(arrived, file, folder)
                arrived.replace(target)
                return target, True
            except DownloadError as error:
                reasons.append(str(error) if host in str(error) else f"{host}: {error}")
                if error.is_host_out_of_reach:
                    hosts[host] = reasons[-1]
        raise DownloadError("; ".join(dict.fromkeys(reasons)))


def _fetch_url(url: str, file: DataFile, waiting: Path, patience: Patience, report: Report) -> Path:
    """Return a file fetched by pooch, which checks it; what arrived of it before is not fetched again."""
    import pooch  # type: ignore[import-untyped]

    pooch.get_logger().setLevel("WARNING")
    name = f"{_short_hash(url)}-{Path(file.local).name}"
    part = waiting / f"{name}.part"

    def resume(url: str, output: str, _: object) -> None:
        download(url, part, patience, report)
        part.replace(output)

    # The catalogue has checksums of contents; of a gzip file the content is checked after this.
    expected = f"sha256:{file.sha256}" if file.sha256 and not file.local.endswith(".gz") else None
    try:
        return Path(pooch.retrieve(url, expected, fname=name, path=waiting, downloader=resume))
    except ValueError as error:  # pooch's word for another checksum
        raise DownloadError(
            f"{_host(url)} sent another file, not kept: {_checksums(str(error), file)}"
        ) from None


def _fetch_hub(source: str, waiting: Path, report: Report) -> Path:
    """Return a file fetched from the Hugging Face hub (or the mirror in ``HF_ENDPOINT``)."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository, _, rest = source.removeprefix("hub:").partition("@")
    revision, filename = _split_revision(rest)
    try:
        return Path(
            hf_hub_download(
                repository,
                filename,
                repo_type="dataset",
                revision=revision,
                local_dir=waiting / _short_hash(f"{repository}@{revision}"),
                endpoint=hub_endpoint(),
                tqdm_class=_bar_that_reports(report),
            )
        )
    except LocalEntryNotFoundError as error:
        raise DownloadError(f"no connection to {_host(source)}", is_host_out_of_reach=True) from error
    except HfHubHTTPError as error:
        answer = getattr(error, "response", None)
        said = f"the server answers {answer.status_code}" if answer is not None else type(error).__name__
        raise DownloadError(f"{said} for {repository} {filename} at {revision}") from error
    except (OSError, ValueError) as error:
        raise DownloadError(" ".join(str(error).split())[:200]) from error


def _bar_that_reports(report: Report) -> type:
    """Return the kind of progress bar that the hub's client takes; it draws nothing, but reports."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Bar(tqdm):
        def __init__(self, *_: object, total: int | None = None, initial: int = 0, **__: object) -> None:
            super().__init__(disable=True)
            self.arrived, self.size = initial, total

        def update(self, n: float | None = 1) -> bool | None:
            self.arrived += int(n or 0)
            report(self.arrived, self.size)
            return None

    return Bar


def hub_endpoint() -> str:
    """Return the address of the Hugging Face hub, or of its mirror in ``HF_ENDPOINT``."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _split_revision(rest: str) -> tuple[str, str]:
    """Return revision and path of ``main/a/b.csv`` or ``refs/convert/parquet/a/b.csv``."""
    parts = rest.split("/")
    length = 3 if parts[0] == "refs" else 1
    return "/".join(parts[:length]), "/".join(parts[length:])


def _is_hub(source: str) -> bool:
    return source.startswith("hub:")


def _host(source: str) -> str:
    return urlsplit(hub_endpoint() if _is_hub(source) else source).netloc


def _checksums(message: str, file: DataFile) -> str:
    return (
        f"its sha256 is not {file.sha256[:12]}…"
        if "sha256" in message.lower() or "hash" in message
        else message
    )


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _by_hand(failures: dict[str, str], folder: Path, asked: int) -> str:
    names = list(failures)
    reasons = "; ".join(dict.fromkeys(reason for said in failures.values() for reason in said.split("; ")))
    more = f" and {len(names) - _NAMED_PLACES} more" if len(names) > _NAMED_PLACES else ""
    return (
        f"{len(names)} of {asked} files could not be fetched ({reasons}); put them by hand in {folder} as "
        f"{', '.join(names[:_NAMED_PLACES])}{more} (plain or gzip), or try again: what has arrived is kept"
    )
