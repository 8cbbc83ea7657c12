"""The kinds of file in which networks are published: each is read to its tensors, and nothing in it ever runs."""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn

from restore import weights
from restore.errors import ResourceError, WeightsError

ARRAYS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bn._mean": np.arange(3, dtype=np.float64),
    "bn._variance": np.float16([1, 2, 3]),
    "turned": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    "none": np.empty((0, 4), np.float32),
}
TORCH_NAMES = ("conv.weight", "bn.running_mean", "bn.running_var", "turned", "none")


class PaddleTensor:
    """Pickled as ``paddle.save`` pickles a tensor from version 2.1 on: as the call ``tuple((name, array))``."""

    def __init__(self, name: str, values: np.ndarray) -> None:
        self.name, self.values = name, values

    def __reduce__(self) -> tuple[Any, ...]:
        return (tuple, ((self.name, self.values),))


class Touch:
    """Creates a file when it is unpickled by a reader that allows it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


class Evaluated:
    """How old versions of Paddle pickled a tensor of their engine: as a call of ``eval``."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("data", {"data": np.zeros(1)}))


# --- PaddlePaddle


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("later", [False, True])
def test_a_file_of_paddle_is_read_without_paddle(tmp_path: Path, protocol: int, later: bool) -> None:
    values = {
        name: PaddleTensor(f"conv2d_{i}.w_0", array) if later else array
        for i, (name, array) in enumerate(ARRAYS.items())
    }
    generator: dict[str, Any] = {**values, "StructuredToParameterName@@": dict.fromkeys(values, "conv2d_0.w_0")}
    content = {"generator": generator, "epoch": 3, "optimizer": {"LR_Scheduler": {"last_lr": np.float64(0.1)}}}
    path = tmp_path / "model.pdparams"
    path.write_bytes(pickle.dumps(content, protocol))
    loaded = weights.load_checkpoint(path)
    assert loaded["epoch"] == 3
    assert loaded["optimizer"]["LR_Scheduler"]["last_lr"] == 0.1
    state = loaded["generator"]
    assert set(state.pop("StructuredToParameterName@@").values()) == {"conv2d_0.w_0"}
    assert tuple(state) == TORCH_NAMES
    for tensor, array in zip(state.values(), ARRAYS.values(), strict=True):
        assert isinstance(tensor, Tensor)
        assert tensor.is_contiguous()
        assert torch.equal(tensor, torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))))


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(st.sampled_from([np.float32, np.int64, np.bool_]), arrays.array_shapes(min_dims=0, max_dims=4)))
def test_any_array_of_paddle_keeps_its_numbers(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("paddle") / "model.pdparams"
    path.write_bytes(pickle.dumps({"x": PaddleTensor("x", array)}, 4))
    np.testing.assert_array_equal(weights.load_checkpoint(path)["x"].numpy(), array)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "call": Touch,
    "inside an array": lambda marker: np.array([Touch(marker)], dtype=object),
    "eval": lambda marker: Evaluated(),
    "text": lambda marker: np.array(["text"]),
    "module": lambda marker: pickle,
    "function": lambda marker: np.load,
    "set": lambda marker: {1, 2},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_of_paddle_with_anything_but_arrays_is_refused(tmp_path: Path, kind: str) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.pdparams"
    if kind == "module":
        path.write_bytes(b"c__main__\n__dict__\n.")
    else:
        path.write_bytes(pickle.dumps({"x": np.zeros(2), "evil": HOSTILE[kind](marker)}, 2))
    with pytest.raises(WeightsError, match=r"evil\.pdparams is not used"):
        weights.load_checkpoint(path)
    assert not marker.exists()
    if kind in ("call", "inside an array"):
        pickle.loads(path.read_bytes())
        assert marker.exists(), "the file was not hostile at all"


# --- TorchScript


class Part(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(2, 2, 1), nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))])
        self.register_buffer("grid", torch.arange(6.0).reshape(2, 3).t())
        self.sizes = [1, 2, 3]

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x)
        return x + self.grid[0, 0]


@pytest.mark.parametrize("half", [False, True])
def test_a_torchscript_archive_gives_its_state_dict(tmp_path: Path, half: bool) -> None:
    network = Part().half() if half else Part()
    path = tmp_path / "film_net.pt"
    torch.jit.script(network).save(path)
    loaded = weights.load_checkpoint(path)
    expected = network.state_dict()
    assert loaded.keys() == expected.keys()
    for name, tensor in expected.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor), name


def test_a_torchscript_archive_that_calls_something_is_refused(tmp_path: Path) -> None:
    good, evil, marker = tmp_path / "good.pt", tmp_path / "evil.pt", tmp_path / "marker"
    torch.jit.script(Part()).save(good)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(evil, "w") as target:
        for name in source.namelist():
            target.writestr(
                name, pickle.dumps({"x": Touch(marker)}) if name.endswith("/data.pkl") else source.read(name)
            )
    with pytest.raises(WeightsError, match=r"evil\.pt is not used"):
        weights.load_checkpoint(evil)
    assert not marker.exists()


# --- archives


def test_the_weights_inside_an_archive_are_found_in_any_folder(tmp_path: Path) -> None:
    state = {"module.conv.weight": torch.ones(2, 2)}
    torch.save(state, tmp_path / "flownet.pkl")
    for folder in ("", "train_log/", "RIFEv4.26_0921/"):
        path = tmp_path / "RIFE.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "flownet.pkl", f"{folder}flownet.pkl")
            archive.writestr(f"{folder}IFNet_HDv3.py", "raise SystemExit")
            archive.writestr(f"__MACOSX/{folder}._flownet.pkl", b"")
        loaded = weights.load_checkpoint(path, "flownet.pkl")
        assert torch.equal(loaded["module.conv.weight"], state["module.conv.weight"])
    for member in ("other.pkl", "IFNet_HDv3.py"):
        with pytest.raises(WeightsError, match=r"RIFE\.zip is not used"):
            weights.load_checkpoint(path, member)


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("kind", ["paddle", "torchscript", "zip"])
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / {"paddle": "m.pdparams", "torchscript": "m.pt", "zip": "m.zip"}[kind]
    if kind == "paddle":
        path.write_bytes(pickle.dumps({name: PaddleTensor(name, array) for name, array in ARRAYS.items()}, 4))
    elif kind == "torchscript":
        torch.jit.script(nn.Conv2d(1, 1, 1)).save(path)
    else:
        torch.save({"x": torch.ones(3)}, folder / "flownet.pkl")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(folder / "flownet.pkl", "flownet.pkl")
    content = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4), label="damaged bytes"):
        content[position] ^= data.draw(st.integers(1, 255), label="by")
    path.write_bytes(content[: data.draw(st.integers(0, len(content)), label="length")])
    with contextlib.suppress(
        WeightsError, ResourceError
    ):  # most damage is noticed, but not every changed bit of a tensor can be
        assert isinstance(weights.load_checkpoint(path, "flownet.pkl"), dict)
