"""A file appears under its name only when it is whole; whatever goes wrong, nothing else is left."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from restore.errors import OutputError
from restore.media.atomic import replacing
from tests.adversity import folder_for_all, no_file_above, without_privileges


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_has_its_name_at_the_end_and_ordinary_permissions(tmp_path: Path, umask: int, mode: int) -> None:
    target = tmp_path / "new.bin"
    before = os.umask(umask)
    try:
        with replacing(target) as file:
            file.write_bytes(b"whole")
            assert not target.exists()
            assert file.suffix == ".bin"
    finally:
        os.umask(before)
    assert target.read_bytes() == b"whole"
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert names(tmp_path) == ["new.bin"]


def test_an_existing_file_is_replaced_in_one_step_and_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "old.bin"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with replacing(target) as file:
        file.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RuntimeError("decoder"), OSError(errno.EIO, "input")])
def test_any_failure_leaves_what_was_there_and_comes_out_unchanged(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "old.bin"
    target.write_bytes(b"old")

    def write_half() -> None:
        with replacing(target) as file:
            file.write_bytes(b"half")
            raise failure

    with pytest.raises(type(failure)) as caught:
        write_half()
    assert caught.value is failure
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["old.bin"]


def test_a_full_disk_is_said_clearly_and_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with replacing(tmp_path / "film.mp4") as file:
            file.write_bytes(bytes(10_000))

    with no_file_above(4096), pytest.raises(OutputError, match=r"film\.mp4 cannot be written: the disk is full"):
        fill()
    assert names(tmp_path) == []


def test_a_disk_that_turns_out_full_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"), replacing(tmp_path / "film.mp4") as file:
        file.write_bytes(b"x")
    assert names(tmp_path) == []


def test_what_cannot_be_a_target_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "folder.png")
    os.mkfifo(tmp_path / "pipe.png")
    before = names(tmp_path)
    for target, reason in [
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "link.png", "is a folder"),
        (tmp_path / "pipe.png", "not an ordinary file"),
        (Path("/dev/full"), "not an ordinary file"),
        (tmp_path / "missing" / "a.png", "does not exist; make it first"),
        (tmp_path / f"{'n' * 300}.png", "name too long"),
        (tmp_path / "a\0.png", "null"),
    ]:
        with pytest.raises(OutputError, match=f"(?i){reason}"), replacing(target):
            pytest.fail(f"{target} was accepted")
    assert names(tmp_path) == before
    assert names(tmp_path / "folder.png") == []


def test_a_folder_or_a_file_without_permission_is_refused() -> None:
    with folder_for_all() as folder:
        (folder / "mine.png").write_bytes(b"old")
        (folder / "mine.png").chmod(0o444)
        for target, reason in [(folder / "a.png", "may not write into the folder"), (folder / "mine.png", "protected")]:
            folder.chmod(0o555 if "folder" in reason else 0o777)
            with without_privileges(), pytest.raises(OutputError, match=reason), replacing(target):
                pytest.fail(f"{target} was accepted")
        assert names(folder) == ["mine.png"]
        assert (folder / "mine.png").read_bytes() == b"old"


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    real = tmp_path / "store" / "real.png"
    real.write_bytes(b"old")
    link = tmp_path / "link.png"
    link.symlink_to(real)
    with replacing(link) as file:
        file.write_bytes(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert names(tmp_path / "store") == ["real.png"]


def test_the_longest_name_that_the_file_system_takes_works(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 251 + ".png")
    with replacing(target) as file:
        file.write_bytes(b"x")
    assert names(tmp_path) == [target.name]
