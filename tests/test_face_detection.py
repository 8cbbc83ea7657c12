"""Faces are found as facexlib finds them, at any size, and its networks are the same under our roof."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from facexlib.detection.retinaface import RetinaFace
from facexlib.parsing.parsenet import ParseNet
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import box_iou

from restore import catalog, networks
from restore.faces import detect, parse
from restore.faces.align import SIDE, TEMPLATE, similarity
from restore.faces.track import spread
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource
from restore.progress import Progress
from restore.settings import load_settings
from tests.fill import fill


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


@pytest.mark.parametrize(
    ("model", "theirs", "gain"),
    [("retinaface-mobilenet", "mobile0.25", 0.05), ("retinaface-resnet50", "resnet50", 0.005)],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_found_is_what_facexlib_finds(model: str, theirs: str, gain: float) -> None:
    reference = RetinaFace(theirs, device=torch.device("cpu"))
    # Heads so gentle that boxes stay near their squares, and scores near the middle.
    filled = fill(shapes(reference), {"*Head.*": gain, "*.bn3.weight": 0.3})
    reference.load_state_dict(filled)
    network = networks.build(model)
    network.load_state_dict(networks.convert(model, {f"module.{key}": value for key, value in filled.items()}))

    picture = np.random.default_rng(7).integers(0, 256, (75, 110, 3), dtype=np.uint8)
    with torch.inference_mode():
        scores = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)[2]
        score = float(scores.quantile(0.9))
        wanted = reference.detect_faces(picture[..., ::-1], conf_threshold=score, nms_threshold=0.4)
        (found,) = detect.find(network, torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255, score)

    assert len(found) == len(wanted) > 3
    assert len({round(face.score, 6) for face in found}) > 3
    for face, row in zip(found, wanted, strict=True):
        size = max(1.0, float(np.abs(row).max()))
        np.testing.assert_allclose(face.box, row[:4], atol=1e-4 * size)
        np.testing.assert_allclose(face.landmarks.ravel(), row[5:], atol=1e-4 * size)
        assert face.score == pytest.approx(row[4], abs=1e-4)


class Squares(nn.Module):
    """Finds the one white square of a black picture if that is as large as faces that RetinaFace finds; of a larger
    one it takes a part for the whole, as RetinaFace does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, int]] = []

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.seen.append((pictures.shape[2], pictures.shape[3]))
        boxes, scores = torch.zeros(len(pictures), 1, 4), torch.zeros(len(pictures), 1)
        for index, picture in enumerate(pictures):
            rows, columns = (picture[0].amax(dim=axis).gt(0.5).nonzero()[:, 0].float() for axis in (1, 0))
            if len(rows) < 16 or len(columns) < 16:
                continue
            box = torch.stack([columns[0], rows[0], columns[-1], rows[-1]]) + torch.tensor([-0.5, -0.5, 0.5, 0.5])
            if len(rows) > 500:
                box[2:] = box[:2] + 450
            boxes[index, 0], scores[index, 0] = box, 0.95
        return boxes, boxes[..., None, :2].expand(-1, -1, 5, -1), scores


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> Squares:
    network = Squares()

    @contextmanager
    def opened(_source: NetworkSource, _engine: Engine) -> Iterator[nn.Module]:
        with torch.inference_mode():
            yield network

    monkeypatch.setattr(detect, "opened", opened)
    return network


@pytest.mark.parametrize(
    ("longest", "share"), [(300, 0.08), (300, 0.9), (700, 0.3), (700, 0.9), (1900, 0.08), (1900, 0.6), (2600, 0.9)]
)
def test_faces_of_every_size_are_found_where_they_are(squares: Squares, longest: int, share: float) -> None:
    height, width = longest * 3 // 4, longest
    side = round(share * height)
    top, left = (height - side) // 3, (width - side) * 2 // 3
    batch = torch.zeros(1, 3, height, width)
    batch[:, :, top : top + side, left : left + side] = 1
    detector = detect.Detector(NetworkSource("retinaface-mobilenet", "squares", dict), _engine())

    ((face,),) = detector.detect(batch)

    wanted = np.array([left - 0.5, top - 0.5, left + side - 0.5, top + side - 0.5])
    pixel = max(4.0, longest / detector.longest * 4)  # of what the second look sees
    np.testing.assert_allclose(face.box, wanted, atol=1.5 * pixel)
    np.testing.assert_allclose(face.landmarks, np.tile(wanted[:2], (5, 1)), atol=1.5 * pixel)
    assert max(max(size) for size in squares.seen) <= detector.longest


class Upright(nn.Module):
    """Finds the face of five dots, whose brightness says which they are, if it stands about upright; if it is tilted it
    is taken for a less tilted one, as RetinaFace does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, landmarks, scores = zip(*(self.face(picture.double().numpy()) for picture in pictures), strict=True)
        return torch.stack(boxes)[:, None], torch.stack(landmarks)[:, None], torch.tensor(scores)[:, None]

    def face(self, picture: NDArray[np.float64]) -> tuple[Tensor, Tensor, float]:
        rows, columns = np.nonzero(picture[0] > 0.5)
        which = np.rint(picture[1, rows, columns] / picture[0, rows, columns] * 6)
        if not {1, 2, 3, 4, 5} <= set(which):
            return torch.zeros(4), torch.zeros(5, 2), 0.0
        places = np.stack([columns, rows], axis=1)
        dots = np.stack([np.median(places[which == number], axis=0) for number in range(1, 6)])
        tilt = angle(dots)
        if abs(tilt) > 60:
            return torch.zeros(4), torch.zeros(5, 2), 0.0
        centre, half = dots.mean(axis=0), 1.8 * spread(dots)
        seen = turned(dots - centre, np.sign(tilt) * max(0, abs(tilt) - 15) / 2) + centre
        box = np.concatenate([centre - half, centre + half])
        return torch.from_numpy(box).float(), torch.from_numpy(seen).float(), 0.999 - abs(tilt) / 2000


def turned(points: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    """``points`` ``(K, 2)`` turned clockwise around the origin."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([(cos, sin), (-sin, cos)])


def angle(landmarks: NDArray[np.float64]) -> float:
    """Degrees by which a face has to be turned clockwise to stand upright."""
    matrix = similarity(landmarks)
    assert matrix is not None
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


@pytest.mark.parametrize("longest", [360, 1300])
@pytest.mark.parametrize("degrees", [0, 40, 90, 135, 180, -60, -90])
def test_a_face_is_found_however_it_is_turned(monkeypatch: pytest.MonkeyPatch, degrees: float, longest: int) -> None:
    height, width = longest * 2 // 3, longest
    upright = (TEMPLATE - TEMPLATE.mean(axis=0)) / SIDE * 0.5 * height
    dots = turned(upright, degrees) + np.array([0.4 * width, 0.55 * height])
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    batch = torch.zeros(1, 3, height, width)
    for number, dot in enumerate(dots, start=1):
        disc = torch.from_numpy(np.linalg.norm(places - dot, axis=-1) < 0.02 * height)
        batch[0, :, disc] = torch.tensor([1, number / 6, 0])[:, None]

    @contextmanager
    def opened(_source: NetworkSource, _engine: Engine) -> Iterator[nn.Module]:
        with torch.inference_mode():
            yield Upright()

    monkeypatch.setattr(detect, "opened", opened)
    ((face,),) = detect.Detector(NetworkSource("retinaface-mobilenet", "dots", dict), _engine()).detect(batch)

    assert np.linalg.norm(face.landmarks - dots, axis=1).max() < 0.1 * spread(dots)
    np.testing.assert_allclose((face.box[:2] + face.box[2:]) / 2, dots.mean(axis=0), atol=0.02 * longest)


def _engine() -> Engine:
    return Engine.start(load_settings(), Progress())


boxes = st.tuples(st.floats(-50, 500), st.floats(-50, 500), st.floats(1, 900), st.floats(1, 900), st.floats(0, 1))


@settings(max_examples=50, deadline=None)
@given(st.lists(boxes, max_size=12), st.lists(boxes, max_size=12), st.floats(50, 800))
def test_two_looks_give_each_face_once(
    near: list[tuple[float, ...]], far: list[tuple[float, ...]], most: float
) -> None:
    def faces(found: list[tuple[float, ...]]) -> list[detect.Face]:
        return [detect.Face(np.array([x, y, x + w, y + h]), np.zeros((5, 2)), score) for x, y, w, h, score in found]

    first, second = faces(near), faces(far)
    merged = detect._merged(first, second, most)
    assert [face.score for face in merged] == sorted((face.score for face in merged), reverse=True)
    if merged:
        both = torch.from_numpy(np.stack([face.box for face in merged]))
        assert bool((box_iou(both, both).fill_diagonal_(0) <= detect.OVERLAP + 1e-9).all())
    for face in (*first, *second):
        usable = face in second or detect._side(face) <= most
        # What is left out is too large for the near look, or its face is there already.
        overlaps = [float(box_iou(*(torch.from_numpy(f.box)[None] for f in (face, kept)))) for kept in merged]
        assert not usable or max(overlaps, default=0) > detect.OVERLAP - 1e-9


def test_what_belongs_to_a_face_is_what_facexlib_says() -> None:
    reference = ParseNet(in_size=512, out_size=512, parsing_ch=19).eval()
    filled = fill(shapes(reference), {"*.norm.norm.weight": 0.3, "out_mask_conv.*": 0.2}, salt=3)
    reference.load_state_dict(filled)
    network = networks.build("parsenet")
    network.load_state_dict(networks.convert("parsenet", filled))
    crops = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))

    with torch.inference_mode():
        mask = parse.mask(network, crops)
        wanted = reference(crops * 2 - 1)[0]

    likely = wanted.softmax(dim=1)
    assert mask.shape == (1, 128, 128)
    np.testing.assert_allclose(mask, 1 - likely[:, [0, 14, 16, 17, 18]].sum(dim=1), atol=1e-4)
    assert 0.05 < float(mask.gt(0.5).float().mean()) < 0.95


def test_no_network_is_built_from_anything_but_its_own_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("a network was asked for something")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    kinds = {"gfpgan", "restoreformer", "codeformer", "retinaface", "parsenet"}
    models = [name for name, entry in catalog.checkpoints().items() if entry.network in kinds]
    assert len(models) == 8
    with torch.device("meta"):
        for name in models:
            networks.build(name)
