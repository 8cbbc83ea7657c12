"""The public endpoints, called as scripts call them: with gradio_client and over plain HTTP, at the real program.

``tests/snapshots`` holds the contract. After a change that is meant, write it down anew with
``UPDATE_SNAPSHOTS=1 python -m pytest tests/test_api.py -k contract`` and look at the difference.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args

import cv2
import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.client import Job
from gradio_client.exceptions import AppError, ValidationError
from PIL import Image

import restore
from restore.errors import UNEXPECTED, InputError, SettingsError
from restore.stages import MATERIALS
from restore.ui import api, gate
from restore.ui.errors import to_api_error, to_gradio_error
from restore.ui.uploads import FORMATS, NOT_UPLOADED, SAME, result_name
from tests.server import Server, running

SNAPSHOTS = Path(__file__).with_name("snapshots")
UPDATE = bool(os.environ.get("UPDATE_SNAPSHOTS"))
BUILT_IN = {"model": "built-in", "api_name": "/restore_image"}
# What follows the picture where parameters have no names, as at the older of the two addresses.
# Fewer than there are: a script goes on when an endpoint gets one more parameter.
REST = ["built-in", 4, None, 0.5, 1, "photo", "same", None]
# Half a minute or more of work on any machine without a graphics card, and stopped long before.
LONG = {**BUILT_IN, "scale": 8}
PATIENCE = 120.0
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("api"), RESTORE_MAX_FILE_MB="30") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(server.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def noise(path: Path, width: int = 40, height: int = 30) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return noise(tmp_path / "photo.png")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return noise(tmp_path / "large.png", 1200, 900)


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What ``condition`` gives as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def job_of(run: Job) -> str:
    """The id that the first answer of a run gives."""
    outputs = wait_for(run.outputs)
    assert outputs[0][0] is None
    return str(outputs[0][1]["job"])


def upload(server: Server, path: Path) -> dict[str, Any]:
    """Upload over plain HTTP; what stands for the file in a request."""
    with path.open("rb") as file:
        answer = httpx.post(f"{server.url}gradio_api/upload", files={"files": (path.name, file)})
    return {"path": answer.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}


def check_snapshot(name: str, value: object) -> None:
    path = SNAPSHOTS / name
    text = json.dumps(value, indent=2, sort_keys=True) + "\n"
    if UPDATE:
        path.write_text(text)
    assert json.loads(path.read_text()) == json.loads(text), f"the contract changed; see {__name__}"


def test_the_contract_of_the_python_client_is_kept(client: Client) -> None:
    check_snapshot("view_api.json", client.view_api(return_format="dict", print_info=False))


def test_the_contract_over_http_is_kept(server: Server) -> None:
    document = httpx.get(f"{server.url}gradio_api/openapi.json").raise_for_status().json()
    del document["info"]["version"]  # Gradio's own
    text = json.dumps(document).replace(server.url.rstrip("/"), "http://server")
    check_snapshot("openapi.json", json.loads(text))


def test_the_types_are_those_of_the_engine() -> None:
    assert get_args(api.Material) == MATERIALS
    assert get_args(api.Format) == (SAME, *FORMATS)


def test_a_picture_comes_back_as_the_engine_makes_it(
    client: Client, server: Server, small: Path, tmp_path: Path
) -> None:
    file, report = client.predict(handle_file(small), scale=2, **BUILT_IN)

    step = {"stage": "upscale", "model": "built-in", "scale": 2}
    expected = json.loads(restore.restore_image(small, tmp_path / "expected.png", [step]).to_json())
    assert Path(file).name == "photo_restored.png"
    assert Path(file).read_bytes() == (tmp_path / "expected.png").read_bytes()
    assert report["recipe"] == expected["recipe"]
    assert report["stages"][0]["models"] == expected["stages"][0]["models"]
    assert (report["source"], report["target"]) == ("photo.png", "photo_restored.png")
    # The result lies in the folder of its job, and nowhere else.
    copies = [path.parent.name for path in server.files.rglob("photo_restored.png")]
    assert f"restore-{report['job']}" in copies
    assert all(name.startswith("restore-") for name in copies)


def test_sixteen_bits_stay_sixteen_bits(client: Client, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (12, 16, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.tif"), pixels)

    file, _ = client.predict(handle_file(tmp_path / "deep.tif"), strength=0, scale=1, format="png", **BUILT_IN)

    assert Path(file).suffix == ".png"
    result = cv2.imread(file, cv2.IMREAD_UNCHANGED)
    assert result is not None
    assert result.dtype == np.uint16
    assert np.array_equal(result, pixels)


def test_a_chain_replaces_the_settings(client: Client, small: Path) -> None:
    steps = [{"stage": "upscale", "scale": 1, "strength": 0}, {"stage": "upscale", "scale": 3, "strength": 0}]
    for given in (steps, {"version": 1, "steps": steps}):
        _, report = client.predict(handle_file(small), steps=given, format="webp", api_name="/restore_image")
        assert report["target_size"] == [120, 90]
        assert [step["scale"] for step in report["recipe"]["steps"]] == [1, 3]
        assert report["target"] == "photo_restored.webp"
    with pytest.raises(AppError, match="either steps or model, scale"):
        client.predict(handle_file(small), steps=steps, scale=2, **BUILT_IN)


def test_progress_names_the_stage_and_the_tile_and_a_cancelled_run_stops_alone(
    client: Client, server: Server, small: Path, large: Path
) -> None:
    first = client.submit(handle_file(large), **LONG)
    running_id = job_of(first)

    def units() -> Any:
        return first.status().progress_data

    stage, tiles = wait_for(lambda: (found := units()) and len(found) == 2 and found[1].index > 0 and found)
    assert (stage.index, stage.length, stage.unit, stage.desc) == (0, 1, "stages", "upscale")
    assert (tiles.unit, tiles.desc) == ("tiles", "upscale")
    assert tiles.length > 1
    wait_for(lambda: units()[1].index > tiles.index)

    second = client.submit(handle_file(small), **BUILT_IN)
    waiting_id = job_of(second)
    (place,) = wait_for(lambda: second.status().progress_data)
    assert (place.index, place.length, place.unit, place.desc) == (0, 1, "jobs", "waiting")
    state = client.predict(id=waiting_id, api_name="/job")
    assert (state["state"], state["ahead"], state["job"]) == ("waiting", 1, waiting_id)
    state = client.predict(id=running_id, api_name="/job")
    assert (state["state"], state["ahead"], state["error"]) == ("running", 0, None)
    assert state["progress"][-1]["unit"] == "tiles"

    first.cancel()
    wait_for(lambda: client.predict(id=running_id, api_name="/job")["state"] == "stopped")
    file, report = second.result(timeout=PATIENCE)
    assert (Path(file).name, report["job"]) == ("photo_restored.png", waiting_id)
    assert running_id not in " ".join(path.name for path in server.jobs())
    with pytest.raises(AppError, match="stopped"):
        client.predict(id=running_id, api_name="/job_result")


def test_a_job_can_be_stopped_by_its_id(client: Client, server: Server, large: Path) -> None:
    run = client.submit(handle_file(large), **LONG)
    client.predict(id=job_of(run), api_name="/stop_job")
    with pytest.raises(AppError, match="stopped before it was finished"):
        run.result(timeout=PATIENCE)
    assert f"restore-{job_of(run)}" not in {path.name for path in server.jobs()}


def test_a_run_that_gradio_ends_with_another_one_leaves_its_job_alone(
    client: Client, server: Server, large: Path
) -> None:
    run = client.submit(handle_file(large), **LONG)
    id = job_of(run)
    (index,) = (i for i, endpoint in client.endpoints.items() if endpoint.api_name == "/restore_image")
    other = {"session_hash": client.session_hash, "fn_index": index, "event_id": "still in the queue"}
    httpx.post(f"{server.url}gradio_api/cancel", json=other).raise_for_status()

    with pytest.raises(AppError, match=f"the job itself runs on. Ask /job_result for {id}"):
        run.result(timeout=PATIENCE)
    assert client.predict(id=id, api_name="/job")["state"] == "running"
    client.predict(id=id, api_name="/stop_job")


def test_over_plain_http_a_lost_connection_loses_no_job(server: Server, client: Client, small: Path) -> None:
    body = {"image": upload(server, small), "model": "built-in", "scale": 3}
    event = httpx.post(f"{server.url}gradio_api/call/v2/restore_image", json=body).raise_for_status().json()["event_id"]
    with httpx.stream("GET", f"{server.url}gradio_api/call/restore_image/{event}", timeout=PATIENCE) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: generating"
        file, early = json.loads(next(lines).removeprefix("data: "))
    assert file is None

    wait_for(lambda: client.predict(id=early["job"], api_name="/job")["state"] == "finished")
    path, report = client.predict(id=early["job"], api_name="/job_result")
    with Image.open(path) as picture:
        assert picture.size == (120, 90)
    assert report["job"] == early["job"]


def test_over_plain_http_the_last_answer_is_the_result(server: Server, small: Path) -> None:
    body = {"image": upload(server, small), "model": "built-in"}
    event = httpx.post(f"{server.url}gradio_api/call/v2/restore_image", json=body).raise_for_status().json()["event_id"]
    text = httpx.get(f"{server.url}gradio_api/call/restore_image/{event}", timeout=PATIENCE).text
    kind, data = text.strip().split("\n\n")[-1].split("\n")
    file, report = json.loads(data.removeprefix("data: "))

    assert kind == "event: complete"
    assert file["orig_name"] == "photo_restored.png"
    assert Path(file["path"]).parent == server.files / f"restore-{report['job']}"
    with httpx.stream("GET", file["url"]) as download:
        assert len(download.read()) == file["size"] == Path(file["path"]).stat().st_size


def test_a_name_that_is_html_is_harmless(server: Server, client: Client, small: Path) -> None:
    # The Python client would clean it, and a browser does not.
    with small.open("rb") as file:
        name = "<img src=x onerror=alert(1)>.png"
        path = httpx.post(f"{server.url}gradio_api/upload", files={"files": (name, file)}).json()[0]
    body = {"data": [{"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}, *REST]}
    event = httpx.post(f"{server.url}gradio_api/call/restore_image", json=body).json()["event_id"]
    text = httpx.get(f"{server.url}gradio_api/call/restore_image/{event}", timeout=PATIENCE).text
    assert "_restored.png" in text
    assert "<img" not in text
    assert "=alert" not in json.loads(text.strip().split("data: ")[-1])[0]["orig_name"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"image": None}, "There is no picture yet"),
        ({"scale": 99}, "scale is 99: give a number from 1 to 8."),
        ({"scale": "large"}, "scale is 'large'"),
        ({"model": "nobody"}, "There is no model called 'nobody'"),
        ({"material": "stone"}, "stone"),
        ({"target": "wide"}, "'wide' is not a size"),
        ({"format": "exe"}, "There is no format 'exe' to save as"),
        ({"steps": [{"stage": "dream"}]}, "Step 1 has no known stage ('dream')"),
        ({"steps": "upscale"}, "There is no recipe 'upscale'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    client: Client, server: Server, small: Path, arguments: dict[str, Any], sentence: str
) -> None:
    before = server.jobs()
    with pytest.raises(AppError) as refused:
        client.predict(**{"image": handle_file(small), "api_name": "/restore_image", **arguments})
    assert sentence in str(refused.value)
    assert server.jobs() == before


def test_a_broken_picture_is_told_in_plain_text(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "it's <no> picture.png"
    path.write_bytes(b"nothing")
    with pytest.raises(AppError) as refused:
        client.predict(handle_file(path), **BUILT_IN)
    assert "it's" in str(refused.value)
    assert "not a picture" in str(refused.value)


@pytest.mark.parametrize("id", ["nobody", "", "../../etc", "..", "restore-x", "a/b", "%2e%2e", "\0"])
def test_an_id_that_nobody_was_given_opens_nothing(client: Client, id: str) -> None:
    for endpoint in ("/job", "/job_result", "/stop_job"):
        with pytest.raises(AppError, match="no such job"):
            client.predict(id=id, api_name=endpoint)


class Canary(ThreadingHTTPServer):
    """A web server on loopback that nobody should be led to."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        paths = self.paths

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                paths.append(self.path)
                self.send_error(404)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def canary() -> Iterator[Canary]:
    server = Canary()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def substitutes(server: Server, canary: Canary, outside: Path, folder: Path) -> list[object]:
    """What a stranger may put where a file is expected."""
    address = f"http://127.0.0.1:{canary.server_port}/x.png"
    paths = ["/etc/passwd", "../../../etc/passwd", str(outside), str(server.files), str(folder), "", "\0", "x" * 5000]
    paths += [address, address.upper().replace("X.PNG", "x.png"), f"file://{outside}"]
    marked: list[object] = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]
    marked += [
        {"path": "", "url": address, "meta": {"_type": "gradio.FileData"}},
        {"path": address, "url": address, "is_stream": True, "meta": {"_type": "gradio.FileData"}},
    ]
    return [*paths, *({"path": path} for path in paths), *marked, [str(outside)], 7, True]


def test_nothing_but_an_upload_is_opened(
    server: Server, client: Client, canary: Canary, small: Path, tmp_path: Path
) -> None:
    good = upload(server, small)
    for value in substitutes(server, canary, small, tmp_path):
        for endpoint, body in (
            ("call/v2/restore_image", {"image": value, "model": "built-in"}),
            ("call/restore_image", {"data": [value, *REST]}),
            ("call/v2/restore_image", {"image": good, "steps": [{"stage": "upscale", "model": value}]}),
        ):
            answer = httpx.post(f"{server.url}gradio_api/{endpoint}", json=body)
            text = answer.text
            if answer.status_code == 200:
                event = answer.json()["event_id"]
                text = httpx.get(f"{server.url}gradio_api/call/restore_image/{event}", timeout=PATIENCE).text
                assert "event: error" in text, (value, text)
                assert json.loads(text.strip().rsplit("data: ", 1)[1])["error"], (value, text)
            else:
                assert answer.status_code == 422, (value, text)
            if "steps" not in body:
                assert NOT_UPLOADED in text, (value, text)
            assert "root:" not in text
        if isinstance(value, dict) and "meta" in value:
            for endpoint in ("queue/join", "queue/join/", "run/restore_image", "api/restore_image"):
                body = {"data": [value, *REST], "session_hash": "stranger", "fn_index": 0}
                answer = httpx.post(f"{server.url}gradio_api/{endpoint}", json=body)
                assert (answer.status_code, NOT_UPLOADED in answer.text) == (422, True), (endpoint, value)
    with pytest.raises(ValidationError, match="must be a file that was uploaded"):
        client.predict(handle_file(f"http://127.0.0.1:{canary.server_port}/y.png"), **BUILT_IN)
    answer = httpx.get(f"{server.url}gradio_api/file=http://127.0.0.1:{canary.server_port}/z.png")
    assert answer.status_code == 403
    # The Python client looks at an address itself, before it hands it over.
    assert set(canary.paths) <= {"/y.png"}


def test_a_request_that_is_too_large_or_too_deep_is_refused(server: Server) -> None:
    address = f"{server.url}gradio_api/call/v2/restore_image"
    large = httpx.post(address, content=b'{"x": "' + b"a" * gate.LARGEST_BODY + b'"}', headers=JSON)
    deep = httpx.post(address, content=b"[" * 200_000 + b"]" * 200_000, headers=JSON)
    broken = httpx.post(address, content=b"{", headers=JSON)
    assert (large.status_code, deep.status_code, broken.status_code) == (413, 400, 422)


@pytest.mark.parametrize(("body", "sentence"), [({}, "argument: image"), ({"image": None, "foo": 1}, "`foo`")])
def test_a_parameter_that_is_missing_or_unknown_is_named(server: Server, body: dict[str, Any], sentence: str) -> None:
    answer = httpx.post(f"{server.url}gradio_api/call/v2/restore_image", json=body)
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]


def test_the_models_are_listed_with_the_device(client: Client) -> None:
    answer = client.predict(api_name="/models")
    assert set(answer["device"]) == {"name", "kind", "precision", "memory_bytes"}
    models = {model["name"]: model for model in answer["models"]}
    assert models["built-in"]["state"] == "built in"
    assert models["RealESRGAN_x4plus"]["state"] == "download"
    assert models["RealESRGAN_x4plus"]["download_bytes"] > 10**7


def test_scripts_read_plain_text_and_the_page_reads_html(caplog: pytest.LogCaptureFixture) -> None:
    error = InputError("<b>.png isn't a picture")
    assert to_api_error(error).message == "<b>.png isn't a picture"
    assert "&lt;b&gt;.png isn&#x27;t a picture" in to_gradio_error(error).message
    with caplog.at_level(logging.ERROR):
        unforeseen = to_api_error(ValueError("the secret path"))
    assert isinstance(unforeseen, gr.Error)
    assert unforeseen.message == UNEXPECTED
    assert "the secret path" in caplog.text


@pytest.mark.parametrize(
    ("upload", "kind", "saved_as", "name"),
    [
        ("photo.bmp", "BMP", "jpeg", "photo_restored.jpg"),
        ("photo.heic", "HEIC", "same", "photo_restored.png"),
        ("photo.jpeg", "JPEG", "same", "photo_restored.jpg"),
        ("scan.png", "TIFF", "same", "scan_restored.tif"),
        ("...png", "PNG", "same", "picture_restored.png"),
        ("外婆 1950.webp", "WEBP", "same", "外婆 1950_restored.webp"),
        ('a"b;c\r\n<d>/../e.png', "PNG", "avif", "e_restored.avif"),
        ("x" * 300 + ".png", "PNG", "png", "x" * 80 + "_restored.png"),
    ],
)
def test_a_result_goes_by_the_name_of_its_upload(upload: str, kind: str, saved_as: str, name: str) -> None:
    assert result_name(Path(upload), kind, saved_as) == name


def test_a_format_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SettingsError, match="'gif'"):
        result_name(Path("a.png"), "PNG", "gif")
