import gzip
import hashlib
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from serving import serve, unused_port

from convnova.data.catalogue.checksums import RECORD, content_sha256, split_sha256, what_is_wrong
from convnova.data.catalogue.fetching import fetch_file, fetch_files
from convnova.data.catalogue.http import DownloadError, Patience
from convnova.data.catalogue.tables import find_task
from convnova.errors import InputError

DATA = b"sequence,label\n" + b"".join(b"ACGT%dTTGACA,%d\n" % (i, i % 2) for i in range(40_000))
PATIENCE = Patience(tries=3, stall_s=0.3, backoff_s=0.01)


@pytest.fixture
def site():
    with serve() as site:
        yield site


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def data_file(*sources, data=DATA, sha256=None, local="gue/tf/3/train.csv"):
    file = find_task("gue", "tf/3").files_of("train")[0]
    digest = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    return replace(file, sources=sources, sha256=digest, local=local, also=(), size_bytes=None)


def fetch(file, folder):
    return fetch_file(file, folder, PATIENCE)[0]


def leftovers(folder):
    return [p.name for p in (folder / ".fetching").rglob("*") if p.is_file() and p.suffix != ".lock"]


TROUBLES = [
    [],
    ["503"],
    ["429", "500"],
    ["drop"],
    ["drop", "drop"],
    ["truncate"],
    ["stall"],
    ["truncate", "drop"],
]


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("troubles", TROUBLES, ids="-".join)
def test_a_file_arrives_whole_whatever_the_server_does_first(site, folder, troubles, has_ranges):
    site.has_ranges = has_ranges
    path = fetch(data_file(site.add("/train.csv", DATA, *troubles)), folder)
    assert path.read_bytes() == DATA
    assert path == folder / "gue/tf/3/train.csv"
    assert leftovers(folder) == []


def test_a_server_that_compresses_what_it_sends_is_understood(site, folder):
    site.encoding = "gzip"
    assert fetch(data_file(site.add("/train.csv", DATA, "truncate")), folder).read_bytes() == DATA
    assert site.ranges == []


def test_only_the_rest_of_a_broken_download_is_asked_for(site, folder):
    fetch(data_file(site.add("/train.csv", DATA, "truncate", "truncate")), folder)
    half, three_quarters = site.ranges
    assert half == pytest.approx(len(DATA) / 2, abs=1 << 14)
    assert three_quarters == pytest.approx(len(DATA) * 3 / 4, abs=1 << 15)


def test_a_download_that_gets_on_is_not_given_up(site, folder):
    troubles = ["truncate", "drop", "stall", "drop", "truncate", "503", "truncate"]
    assert fetch(data_file(site.add("/train.csv", DATA, *troubles)), folder).read_bytes() == DATA


def test_a_later_run_goes_on_where_the_last_one_gave_up(site, folder):
    file = data_file(site.add("/train.csv", DATA, "truncate", "503", "503", "503"))
    with pytest.raises(DownloadError, match="the server answers 503 Service Unavailable, 3 tries"):
        fetch(file, folder)
    assert not (folder / file.local).exists()
    assert fetch(file, folder).read_bytes() == DATA
    assert site.ranges == [pytest.approx(len(DATA) / 2, abs=1 << 14)]


def test_a_file_that_changed_on_the_server_begins_anew(site, folder):
    url = site.add("/train.csv", b"old" * 9999, "truncate", "503", "503", "503")
    with pytest.raises(DownloadError):
        fetch(data_file(url), folder)
    site.files["/train.csv"] = DATA
    assert fetch(data_file(url), folder).read_bytes() == DATA


def test_redirects_are_followed(site, folder):
    site.add("/there", DATA)
    site.redirects |= {"/here": "/between", "/between": "/there"}
    assert fetch(data_file(f"{site.url}/here"), folder).read_bytes() == DATA


def test_the_next_source_serves_where_the_first_fails(site, folder):
    sources = [f"{site.url}/gone", site.add("/wrong", b"no\n" * 99), site.add("/train.csv", DATA)]
    assert fetch(data_file(*sources), folder).read_bytes() == DATA


def test_gzip_is_checked_by_its_content(site, folder):
    file = data_file(site.add("/train.csv.gz", gzip.compress(DATA)), local="gue/tf/3/train.csv.gz")
    assert gzip.decompress(fetch(file, folder).read_bytes()) == DATA


REFUSED = [
    ("/missing", [], "the server answers 404 Not Found"),
    ("/train.csv", ["403"], "the server answers 403 Forbidden"),
    ("/train.csv", ["503"] * 9, "the server answers 503 Service Unavailable, 3 tries"),
    ("/train.csv", ["drop"] * 9, "the connection broke, 3 tries"),
    ("/train.csv", ["stall"] + ["503"] * 9, "the server answers 503"),
    ("/loop", [], "redirected in circles"),
]


@pytest.mark.parametrize(("path", "troubles", "message"), REFUSED)
def test_a_file_that_cannot_be_fetched_is_told_in_one_line(site, folder, path, troubles, message):
    site.add("/train.csv", DATA, *troubles)
    site.redirects["/loop"] = "/loop"
    with pytest.raises(InputError, match=message) as caught:
        fetch_files([data_file(f"{site.url}{path}")], folder, PATIENCE)
    assert "\n" not in str(caught.value)
    assert f"put them by hand in {folder} as gue/tf/3/train.csv" in str(caught.value)
    assert not (folder / "gue/tf/3/train.csv").exists()


def test_a_server_that_never_answers_is_left(site, folder):
    site.has_ranges = False
    file = data_file(site.add("/train.csv", DATA, *["stall"] * 40))
    with pytest.raises(DownloadError, match=r"no byte for 0\.05 s, 2 tries"):
        fetch_file(file, folder, Patience(tries=2, stall_s=0.05, backoff_s=0.01))


WRONG = [
    (b"sequence,label\nACGT,1\n", None, "its sha256 is not [0-9a-f]{12}"),
    (b"<!doctype html><title>Sign in</title>", "", "the server sent a web page instead of the file"),
    (b"", "", "it is empty"),
]


@pytest.mark.parametrize(("sent", "sha256", "message"), WRONG)
def test_a_wrong_file_is_not_kept(site, folder, sent, sha256, message):
    file = data_file(site.add("/train.csv", sent), sha256=sha256)
    with pytest.raises(DownloadError, match=f"sent another file, not kept: {message}"):
        fetch(file, folder)
    assert not (folder / file.local).exists()
    assert leftovers(folder) == []


def test_a_wrong_or_damaged_gzip_is_not_kept(site, folder):
    local = "gue/tf/3/train.csv.gz"
    for sent, message in (
        (gzip.compress(b"x"), "its content has sha256"),
        (gzip.compress(DATA)[:-9], "ends early"),
    ):
        with pytest.raises(DownloadError, match=f"not kept: .*{message}"):
            fetch(data_file(site.add("/x.gz", sent), local=local), folder)
    assert not (folder / local).exists()


def test_without_network_each_host_is_asked_once_and_every_place_is_named(folder):
    port = unused_port()
    files = [data_file(f"http://127.0.0.1:{port}/{i}", local=f"gue/tf/{i}/train.csv") for i in range(9)]
    with pytest.raises(InputError) as caught:
        fetch_files(files, folder, PATIENCE)
    assert str(caught.value) == (
        f"9 of 9 files could not be fetched (no connection to 127.0.0.1:{port}, 3 tries); put them by hand "
        f"in {folder} as {', '.join(f'gue/tf/{i}/train.csv' for i in range(6))} and 3 more (plain or gzip), "
        "or try again: what has arrived is kept"
    )


def test_what_is_there_is_not_fetched_again(site, folder):
    files = [data_file(site.add("/train.csv", DATA))]
    assert fetch_files(files, folder, PATIENCE).fetched == (folder / "gue/tf/3/train.csv",)
    assert fetch_files(files, folder, PATIENCE).present == (folder / "gue/tf/3/train.csv",)
    assert site.requests["/train.csv"] == 1


def test_an_unknown_checksum_is_recorded_and_compared_later(site, folder):
    file = data_file(site.add("/train.csv", DATA), sha256="")
    path = fetch(file, folder)
    assert (folder / RECORD).read_text() == f"{hashlib.sha256(DATA).hexdigest()}  gue/tf/3/train.csv\n"
    path.unlink()
    site.files["/train.csv"] = DATA + b"ACGT,1\n"
    with pytest.raises(DownloadError, match=rf"not kept: .* an earlier fetch had .*{RECORD}"):
        fetch(file, folder)


def test_another_file_in_its_place_is_told(site, folder):
    file = data_file(site.add("/train.csv", DATA))
    (folder / "gue/tf/3").mkdir(parents=True)
    (folder / file.local).write_bytes(DATA[:-1])
    with pytest.raises(DownloadError, match=r"train\.csv is there, but its content has sha256 .*: delete it"):
        fetch(file, folder)


def test_a_split_has_one_checksum(folder):
    (folder / "a.csv").write_bytes(DATA)
    (folder / "b.csv.gz").write_bytes(gzip.compress(DATA))
    a, b = folder / "a.csv", folder / "b.csv.gz"
    assert split_sha256([a]) == split_sha256([b]) == hashlib.sha256(DATA).hexdigest()
    assert split_sha256([a, b]) not in (split_sha256([a]), split_sha256([b, a, a]))


def test_content_checksum_is_the_same_plain_and_compressed(folder):
    (folder / "a.csv").write_bytes(DATA)
    (folder / "a.csv.gz").write_bytes(gzip.compress(DATA))
    assert content_sha256(folder / "a.csv") == content_sha256(folder / "a.csv.gz")
    assert content_sha256(folder / "a.csv")[1] == len(DATA)
    assert what_is_wrong(folder / "a.csv.gz", data_file(), folder) is None


def test_fetchers_at_once_fetch_once(site, folder):
    file = data_file(site.add("/train.csv", DATA, "truncate"))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: fetch_file(file, folder, PATIENCE), range(4)))
    assert sorted(is_new for _, is_new in results) == [False, False, False, True]
    assert (folder / file.local).read_bytes() == DATA
    assert site.requests["/train.csv"] == 2


def _fetch_in_process(source, folder):
    fetch_file(data_file(source), folder, PATIENCE)


def test_two_processes_at_once_do_not_corrupt(site, folder):
    source = site.add("/train.csv", DATA, "truncate")
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=_fetch_in_process, args=(source, folder)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert (folder / "gue/tf/3/train.csv").read_bytes() == DATA
    assert site.requests["/train.csv"] == 2


HUB_PATH = "/datasets/owner/set/resolve/main/GUE/human_tf_3/train.csv"


def test_the_hub_is_asked_where_hf_endpoint_says(site, folder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    site.add(HUB_PATH, DATA)
    file = data_file("hub:owner/set@main/GUE/human_tf_3/train.csv")
    reports = []
    path, is_new = fetch_file(file, folder, PATIENCE, lambda *now: reports.append(now))
    assert is_new
    assert path.read_bytes() == DATA
    assert site.requests[HUB_PATH] == 1
    assert reports[-1] == (len(DATA), len(DATA))


def test_progress_is_reported_in_bytes(site, folder):
    reports = []
    file = data_file(site.add("/train.csv", DATA, "truncate"))
    fetch_file(file, folder, PATIENCE, lambda *now: reports.append(now))
    assert reports[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


def test_a_hub_that_cannot_serve_is_told_in_one_line(site, folder, monkeypatch):
    file = data_file("hub:owner/set@main/GUE/human_tf_3/train.csv")
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    with pytest.raises(
        DownloadError, match=r"the server answers 404 for owner/set GUE/human_tf_3/train\.csv at main"
    ) as caught:
        fetch(file, folder)
    assert "\n" not in str(caught.value)
    site.add(HUB_PATH, b"another\n" * 99)
    with pytest.raises(DownloadError, match="not kept: its content has sha256"):
        fetch(file, folder)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(DownloadError, match=r"no connection to 127\.0\.0\.1"):
        fetch(file, folder)
