"""Running networks: precision, the ramp rule, the finite check, tiles of real architectures, and stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from restore import catalog, networks
from restore.errors import Cancelled, SettingsError, WeightsError
from restore.inference import memory, precision
from restore.inference.device import choose_device, choose_precision
from restore.inference.engine import Engine
from restore.inference.residency import Residency
from restore.inference.runner import NetworkSource, Runner
from restore.inference.tiles import divide
from restore.networks.compact_x4 import CompactX4
from restore.progress import Meter, Part, Position, Progress
from restore.settings import Settings

CPU = Settings(device="cpu", precision="float32")


def source_of(name: str, change: Mapping[str, Tensor] | None = None, seed: int = 0) -> NetworkSource:
    """A network of the catalogue with random weights that do something to a picture."""

    def state() -> Mapping[str, Tensor]:
        torch.manual_seed(seed)
        fresh = networks.build(name).state_dict()
        # The blocks of a fresh RRDBNet do next to nothing: their weights start at a tenth of what keeps the variance.
        weights = {key: 10 * value if ".rdb" in key else value for key, value in fresh.items()}
        if "conv_last.bias" in weights:
            weights["conv_last.bias"] += 0.5
        return {**weights, **(change or {})}

    return NetworkSource(name, key=f"test {name} {seed} {time.monotonic_ns()}", state=state)


def run(source: NetworkSource, picture: Tensor, settings: Settings = CPU, bits: int = 8) -> tuple[Tensor, Runner]:
    engine = Engine.start(settings, Progress())
    runner = Runner(source, engine)
    return runner.enlarge(picture, bits, part_of(engine.progress)), runner


def part_of(progress: Progress) -> Part:
    """All of the work, for a runner to count."""
    return Meter(progress, "tiles").part(1)


def picture_of(height: int, width: int) -> Tensor:
    """A picture with soft and hard edges."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    waves = torch.stack([torch.sin(3 * x + y), torch.cos(2 * x - 3 * y), torch.sin(x * y)]) / 2 + 0.5
    return (waves * 0.7 + 0.3 * ((x + y) % 1 > 0.5)).clamp(0, 1)


EXACT = ["built-in", "realesr-animevideov3", "realesr-general-x4v3"]


@pytest.mark.parametrize("name", EXACT)
def test_tiles_of_convolutional_networks_change_nothing(name: str) -> None:
    source, picture = source_of(name), picture_of(90, 75)
    whole, runner = run(source, picture)
    assert runner.plan["tile"] == "whole picture"
    tiled, runner = run(source, picture, replace(CPU, tile=32))
    assert runner.plan["tile"] == 32
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EXACT)
def test_the_context_is_no_larger_than_it_must_be(name: str) -> None:
    """The declared context is the receptive field: a change one pixel beyond it changes nothing, one within does."""
    traits = networks.traits(name)
    network = networks.build(name)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            nn.init.zeros_(module.bias)
    middle = traits.context + 3
    probe = torch.zeros(1, 3, 2 * middle + 1, 2 * middle + 1)
    probe[..., middle, middle] = 1
    rows = (network(probe) != 0).amax(dim=(0, 1, 3)).nonzero().flatten() // traits.scale
    assert middle - int(rows.min()) == int(rows.max()) - middle == traits.context


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """RRDB networks with two blocks: all that tests can wait for on a CPU."""
    entries = {
        entry.name: replace(entry, arguments={**entry.arguments, "num_block": 2})
        if entry.network == "rrdbnet"
        else entry
        for entry in catalog.checkpoints().values()
    }
    monkeypatch.setattr(catalog, "checkpoints", lambda: entries)


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize(("name", "height", "width"), [("RealESRGAN_x4plus", 120, 100), ("RealESRGAN_x2plus", 130, 97)])
def test_seams_of_deep_networks_cannot_be_seen(name: str, height: int, width: int) -> None:
    """Across the borders of tiles, the mean gradient is at most 1.05 times that of the whole picture there."""
    source, picture = source_of(name), picture_of(height, width)
    scale = networks.traits(name).scale
    whole, _ = run(source, picture)
    tiled, runner = run(source, picture, replace(CPU, tile=48))
    assert runner.plan["tile"] == 48

    def gradient(image: Tensor, rows: list[int], columns: list[int]) -> float:
        across_rows = torch.cat([(image[:, r] - image[:, r - 1]).abs().flatten() for r in rows])
        across_columns = torch.cat([(image[:, :, c] - image[:, :, c - 1]).abs().flatten() for c in columns])
        return float(torch.cat([across_rows, across_columns]).mean())

    multiple, context = networks.traits(name).multiple, networks.traits(name).context
    rows, columns = (
        [span.start * scale for span in divide(0, side, side, 48, context, multiple)][1:]
        for side in (height + height % multiple, width + width % multiple)
    )
    assert rows
    assert columns
    assert gradient(tiled, rows, columns) <= 1.05 * gradient(whole, rows, columns)
    assert tiled.shape == (3, height * scale, width * scale)


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (7, 5), (3, 8191)])
@pytest.mark.parametrize("name", ["built-in", "RealESRGAN_x2plus"])
def test_sizes_of_every_kind(name: str, size: tuple[int, int]) -> None:
    scale = networks.traits(name).scale
    result, _ = run(source_of(name), picture_of(*size))
    assert result.shape == (3, size[0] * scale, size[1] * scale)
    assert bool(result.isfinite().all())
    assert 0 <= float(result.min()) <= float(result.max()) <= 1


def test_the_last_layer_and_the_base_stay_float32() -> None:
    network = precision.lower(networks.build("built-in"), torch.bfloat16, networks.traits("built-in").float32)
    assert network.tail.weight.dtype == network.base.dtype == torch.float32
    assert network.head.weight.dtype == network.body[0].weight.dtype == torch.bfloat16
    seen = []
    network.tail.register_forward_hook(lambda _m, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
    with torch.no_grad(), precision.watched(network, lambda: None):
        assert network(torch.rand(1, 3, 8, 8)).dtype == torch.float32
    assert seen == [(torch.float32, torch.float32)]


RAMP = torch.linspace(0.2, 0.8, 700).expand(3, 24, 700).contiguous()


@pytest.mark.usefixtures("shallow")
@pytest.mark.parametrize("name", ["built-in", "realesr-general-x4v3", "RealESRGAN_x4plus"])
def test_more_than_eight_bits_keep_their_codes(name: str) -> None:
    """The ramp rule: what ``auto`` chooses for a deep source keeps nine in ten of the 10-bit codes of float32."""
    source = source_of(name)
    ramp = RAMP[:, :, ::3] if name.startswith("RealESRGAN") else RAMP
    reference, _ = run(source, ramp)
    result, runner = run(source, ramp, Settings(device="cpu", precision="auto"), bits=16)
    assert precision.kept_codes(result[None], reference[None]) >= 0.9
    assert runner.plan["precision"] in ("float32", "bfloat16")


def test_the_ramp_rule_refuses_a_network_that_bands() -> None:
    """Where the body carries the picture on top of a large number, bfloat16 bands: float32 must be chosen."""
    picture = RAMP / 2
    weights = networks.build("built-in").state_dict()
    change = {key: torch.zeros_like(value) for key, value in weights.items()}
    for key in change:
        if key.endswith("weight"):
            change[key][0, 0, 1, 1] = 1
    change["tail.weight"][:, 0, 1, 1] = 1
    change["head.bias"][0], change["tail.bias"][:] = 4, -4
    source = source_of("built-in", change)
    lowered = replace(CPU, precision="bfloat16")
    assert precision.kept_codes(run(source, picture, lowered)[0][None], run(source, picture)[0][None]) < 0.9
    engine = Engine.start(Settings(device="cpu", precision="auto"), Progress())
    runner = Runner(source, engine)
    if choose_precision(engine.settings, engine.device) == torch.float32:
        pytest.skip("this processor has no bfloat16, so everything runs in float32")
    runner.enlarge(picture, 16, part_of(engine.progress))
    assert runner.plan["precision"] == "float32"
    assert "16 bits" in runner.plan["ramp"]


def test_numbers_that_are_not_finite_bring_float32_back() -> None:
    """float16 overflows at 65504; float32 does not. The result is that of float32, and the report says so."""
    base = networks.build("built-in").state_dict()
    change = {"head.weight": base["head.weight"] * 1e6, "body.0.weight": base["body.0.weight"] * 1e-6}
    source, picture = source_of("built-in", change), picture_of(40, 30)
    engine = Engine.start(Settings(device="cpu", precision="float16", tile=16), Progress())
    runner = Runner(source, engine)
    result = runner.enlarge(picture, 8, part_of(engine.progress))
    torch.testing.assert_close(result, run(source, picture)[0], rtol=0, atol=1e-5)
    assert runner.plan["precision"] == "float32"
    assert "float16" in engine.warnings[0]


def test_damaged_weights_are_an_error_in_words() -> None:
    tail = networks.build("built-in").state_dict()["tail.weight"]
    with pytest.raises(WeightsError, match="damaged"):
        run(source_of("built-in", {"tail.weight": tail * float("nan")}), picture_of(8, 8))
    with pytest.raises(WeightsError, match="another network"):
        run(source_of("built-in", {"tail.weight": tail[:3]}), picture_of(8, 8))


def test_stopping_takes_effect_between_layers() -> None:
    """A pass of many seconds ends within two after a request to stop, and leaves nothing behind that computes."""
    progress = Progress()
    engine = Engine.start(replace(CPU, tile=4096), progress)
    runner = Runner(source_of("realesr-general-x4v3"), engine)
    stopped: list[float] = []

    def work() -> None:
        try:
            runner.enlarge(picture_of(900, 900), 8, part_of(progress))
        except Cancelled:
            stopped.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(1.0)
    asked = time.monotonic()
    progress.cancel()
    thread.join(timeout=60)
    assert stopped
    assert stopped[0] - asked < 2.0
    assert not any(module._forward_pre_hooks for module in networks.build("realesr-general-x4v3").modules())


def positions_of(picture: Tensor, settings: Settings) -> list[Position]:
    """What is reported while the built-in network runs over ``picture``."""
    positions: list[Position] = []
    engine = Engine.start(settings, Progress(positions.append))
    Runner(source_of("built-in"), engine).enlarge(picture, 8, part_of(engine.progress))
    return positions


def test_progress_moves_forward_inside_one_pass() -> None:
    positions = positions_of(picture_of(64, 64), CPU)
    done = [position.done for position in positions]
    assert len(set(done)) > 10
    assert done == sorted(done)
    assert (done[0], done[-1], {position.total for position in positions}) == (0, 1, {1})
    assert max(done[:-1]) < 1
    assert max(after - before for before, after in pairwise(done)) < 0.1


def test_progress_counts_tiles_and_says_in_which_one_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the third tile of six is in the network, between two and three of them are done."""
    heads: list[Position] = []
    forward = CompactX4.forward

    def counted(network: CompactX4, x: Tensor) -> Tensor:
        result = forward(network, x)
        heads.append(positions[-1])
        return result

    positions: list[Position] = []
    engine = Engine.start(replace(CPU, tile=32), Progress(positions.append))
    runner = Runner(source_of("built-in"), engine)
    monkeypatch.setattr("restore.inference.runner.LARGEST_BATCH", 1)
    monkeypatch.setattr(CompactX4, "forward", counted)
    assert runner.count(60, 90, 8) == 6
    runner.enlarge(picture_of(60, 90), 8, part_of(engine.progress))
    assert [int(position.done) for position in heads] == [0, 1, 2, 3, 4, 5]
    assert {(position.total, position.unit) for position in positions} == {(6, "tiles")}
    assert positions[-1].done == 6


def test_progress_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither when memory runs out late in a tile nor when all is done again in float32; it ends with all tiles."""
    forward = CompactX4.forward
    failed: list[int] = []

    def fragile(network: CompactX4, x: Tensor) -> Tensor:
        result = forward(network, x)
        if x.shape[-1] > 60:
            failed.append(x.shape[-1])
            raise torch.OutOfMemoryError("no room")
        if network.head.weight.dtype != torch.float32:
            result[0, 0, 0, 0] = float("nan")
        return result

    monkeypatch.setattr(CompactX4, "forward", fragile)
    positions = positions_of(picture_of(90, 90), replace(CPU, precision="bfloat16"))
    assert failed
    totals = [position.total for position in positions]
    assert (totals[0], totals[-1]) == (1, 36)
    fractions = [position.fraction for position in positions]
    assert all(after >= before - 1e-12 for before, after in pairwise(fractions))
    assert positions[-1].done == positions[-1].total


def test_the_verdict_of_the_ramp_is_kept_with_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Tensor] = []
    ramp = precision.ramp
    monkeypatch.setattr(precision, "ramp", lambda: made.append(ramp()) or made[-1])
    monkeypatch.setattr("restore.inference.runner.choose_precision", lambda settings, device: torch.bfloat16)
    settings = Settings(device="cpu", precision="auto")
    source = source_of("built-in")
    _, first = run(source, picture_of(20, 20), settings, bits=16)
    _, second = run(source, picture_of(20, 20), settings, bits=16)
    assert first.plan == second.plan
    assert len(made) == 1
    monkeypatch.setattr("restore.inference.runner.RESIDENT", Residency(max_bytes=10**6))
    run(source, picture_of(20, 20), settings, bits=16)
    assert len(made) == 2


def test_residency_makes_once_and_stays_within_its_bound() -> None:
    made: list[str] = []

    def make(name: str) -> nn.Module:
        made.append(name)
        time.sleep(0.05)
        return nn.Linear(256, 256)

    one = 4 * (256 * 256 + 256)
    cache = Residency(max_bytes=2 * one)

    def use(name: str) -> None:
        with cache.lease(name, lambda: make(name)):
            pass

    threads = [threading.Thread(target=use, args=("a",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["a"]
    for name in ("b", "c", "b", "a"):
        use(name)
    assert made == ["a", "b", "c", "a"]
    assert len(cache) == 2


def test_whoever_waits_for_a_network_can_give_up() -> None:
    cache = Residency(max_bytes=10**6)
    progress = Progress()
    threading.Timer(0.3, progress.cancel).start()
    with cache.lease("a", lambda: nn.Linear(2, 2)):
        began = time.monotonic()
        with pytest.raises(Cancelled), cache.lease("a", lambda: nn.Linear(2, 2), progress.check):
            pass
        assert time.monotonic() - began < 2
    with cache.lease("a", lambda: nn.Linear(2, 2), progress.check) as network:
        assert isinstance(network, nn.Linear)


def test_a_network_that_cannot_be_made_leaves_no_trace() -> None:
    cache = Residency(max_bytes=1)

    def fail() -> nn.Module:
        raise WeightsError("broken")

    with pytest.raises(WeightsError), cache.lease("a", fail):
        pass
    assert len(cache) == 0


def test_devices_that_are_not_there_are_refused() -> None:
    for name in ("cuda:99", "tpu", "nonsense"):
        with pytest.raises(SettingsError, match=name):
            choose_device(Settings(device=name))


@pytest.mark.parametrize(
    ("memberships", "files", "expected"),
    [
        ("0::/a/b", {"a/memory.max": "1000", "a/memory.current": "300", "a/b/memory.max": "max"}, 700),
        ("0::/a", {"memory.max": "5000", "memory.current": "4900", "memory.stat": "inactive_file 50\nanon 1"}, 150),
        (
            "5:cpu,memory:/x\n0::/",
            {"memory/x/memory.limit_in_bytes": "800", "memory/x/memory.usage_in_bytes": "900"},
            0,
        ),
        ("5:memory:/x", {"memory/memory.limit_in_bytes": str(2**63 - 4096), "memory/memory.usage_in_bytes": "1"}, None),
        ("0::/", {}, None),
    ],
)
def test_the_memory_limit_is_that_of_the_container(
    tmp_path, memberships: str, files: Mapping[str, str], expected: int | None
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert memory.cgroup_available(memberships, tmp_path) == expected


def test_little_memory_makes_small_tiles() -> None:
    picture = picture_of(200, 200)
    settings = replace(CPU, memory_bytes=memory.psutil.Process().memory_info().rss + 40 * 2**20)
    result, runner = run(source_of("built-in"), picture, settings)
    assert runner.plan["tile"] < 200
    torch.testing.assert_close(result.shape, torch.Size((3, 800, 800)))


def test_a_tile_that_would_not_hear_a_request_to_stop_is_not_taken() -> None:
    """However large a tile is asked for, one layer of a deep network stays about a second of work on a CPU."""
    engine = Engine.start(replace(CPU, tile=4096), Progress())
    runner = Runner(source_of("RealESRGAN_x4plus"), engine)
    tile, _ = runner._tiles(torch.float32, 2000, 3000)
    window = tile + 2 * runner.source.traits.context
    assert 200 < tile < 4096
    assert window**2 * runner.source.traits.macs_of_largest_layer <= 10**11
