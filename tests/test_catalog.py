"""The catalogue: what it holds is usable, and what is wrong in it is found when it is read."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from restore import catalog
from restore.errors import SettingsError

GOOD = """
[general]
title = "General"
description = "For all"
description_zh = "通用"
stages = ["upscale"]
network = "srvgg"
arguments = { num_conv = 32 }
companions = { other = "partner" }
file = "general.pth"
sha256 = "0123abcd"
repo = "owner/name"
revision = "0123456789abcdef0123456789abcdef01234567"
licence = "MIT"
commercial = true
source = "https://example.org"

[partner]
title = "Partner"
description = "Beside general"
stages = []
network = "srvgg"
file = "partner.pdparams"
url = "https://example.org/partner.pdparams"
licence = "CC-BY-NC-4.0"
commercial = false
source = "https://example.org"
"""


def test_every_published_model_of_the_first_stage_is_there() -> None:
    offered = {name for name, entry in catalog.checkpoints().items() if "upscale" in entry.stages}
    assert offered >= {
        "built-in",
        "RealESRGAN_x4plus",
        "RealESRNet_x4plus",
        "RealESRGAN_x2plus",
        "RealESRGAN_x4plus_anime_6B",
        "realesr-animevideov3",
        "realesr-general-x4v3",
        "realsr-df2k",
    }
    general = catalog.checkpoint("realesr-general-x4v3")
    weak = catalog.checkpoint(general.companions["weak_denoise"])
    assert weak.arguments == general.arguments, "weights are interpolated between the two"
    assert weak.stages == (), "it is no choice of its own"


def test_a_model_that_is_offered_is_described_in_chinese() -> None:
    for entry in catalog.checkpoints().values():
        if entry.stages:
            assert re.search("[一-鿿]", str(entry.description_zh)), entry.name
            # The Chinese says the same: what it enlarges, in the same digits.
            assert re.findall(r"x(\d)", entry.description)[:1] == re.findall(r"(\d) 倍", str(entry.description_zh)), (
                entry.name
            )
        if entry.title_zh is not None:
            assert re.search("[一-鿿]", entry.title_zh), entry.name


def test_every_published_model_of_the_other_families_is_there() -> None:
    known = catalog.checkpoints()
    assert known.keys() >= {
        *("gfpgan-1.2", "gfpgan-1.3", "gfpgan-1.4", "restoreformer", "codeformer"),
        *("retinaface-resnet50", "retinaface-mobilenet", "parsenet"),
        *("edvr-m", "edvr-l", "edvr-l-vimeo", "basicvsr", "iconvsr", "iconvsr-vimeo", "realbasicvsr"),
        *("basicvsr-pp", "basicvsr-pp-vimeo", "basicvsr-pp-vimeo-bd", "basicvsr-pp-ntire", "pp-msvsr", "pp-msvsr-l"),
        *("rife-4.6", "rife-4.25", "rife-4.26", "film", "ifrnet", "super-slomo", "dain"),
        *("deoldify-artistic", "deoldify-stable", "deoldify-video", "deepremaster", "ddcolor-large", "ddcolor-tiny"),
    }
    assert {name for name, entry in known.items() if not entry.commercial} == {"codeformer", "deepremaster"}
    assert all(known[name].scale == 4 for name in catalog.read_catalogue(catalog.FOLDER / "video.toml"))


UNVERIFIED = {"realsr-df2k", "pp-msvsr", "pp-msvsr-vimeo", "pp-msvsr-l", "ifrnet", "dain"}
"""Models of whose files nobody has published a hash."""


def test_a_download_has_a_home_a_checksum_and_a_size() -> None:
    addresses: list[str] = []
    for entry in catalog.checkpoints().values():
        if entry.package_file is None:
            assert entry.repo or entry.url, entry.name
            assert (entry.sha256 == "") == (entry.name in UNVERIFIED), entry.name
            assert entry.download_bytes, entry.name
            assert not (entry.size and entry.size_estimate), entry.name
            addresses += [address for address in (entry.url, *entry.mirrors) if address]
            # A hash of which only the beginning is known tells a damaged file, so it must come from its own publisher.
            if 0 < len(entry.sha256) < 64:
                assert entry.repo is None, entry.name
                assert entry.sha256 in entry.file, f"{entry.name}: such a hash is known from the name of the file"
    assert len(set(addresses)) == len(addresses), "two entries for one file"
    plain = {address for address in addresses if urlsplit(address).scheme != "https"}
    assert {urlsplit(address).netloc for address in plain} == {"vllab1.ucmerced.edu", "iizuka.cs.tsukuba.ac.jp"}
    hashes = [entry.sha256 for entry in catalog.checkpoints().values() if entry.sha256]
    assert len(set(hashes)) == len(hashes), "two entries for one file"


def test_the_checksums_of_packaged_files_are_those_of_the_catalogue() -> None:
    packaged = [entry for entry in catalog.checkpoints().values() if entry.package_file is not None]
    assert [entry.name for entry in packaged] == ["built-in", "built-in-colour"]
    for entry in packaged:
        path = catalog.FOLDER.parent / str(entry.package_file)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
        assert path.stat().st_size == entry.size
        assert path.name == entry.file


def test_an_unknown_name_is_answered_with_the_closest_ones() -> None:
    with pytest.raises(SettingsError, match="RealESRGAN_x4plus"):
        catalog.checkpoint("realesrgan-x4plus")
    with pytest.raises(SettingsError, match="restore models"):
        catalog.checkpoint("qqqqqqqq")


def test_the_catalogue_is_read_only() -> None:
    with pytest.raises(TypeError):
        catalog.checkpoints()["x"] = catalog.checkpoint("built-in")  # type: ignore[index]


def test_a_catalogue_is_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(GOOD, encoding="utf-8")
    entries = catalog.read_catalogue(path)
    assert list(entries) == ["general", "partner"]
    assert entries["general"].hub_file == "general.pth"
    assert entries["general"].arguments == {"num_conv": 32}
    assert entries["partner"].sha256 == ""
    assert not entries["partner"].commercial


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('file = "general.pth"', "", r"\[general\].*missing field file"),
        ('title = "General"', 'titel = "General"\ntitle = "General"', "unknown field titel"),
        ('description_zh = "通用"', "", r"\[general\].*missing field description_zh"),
        ('sha256 = "0123abcd"', 'sha256 = "0123abc"', "sha256"),
        ('sha256 = "0123abcd"', 'sha256 = "0123ABCD"', "sha256"),
        ('sha256 = "0123abcd"', f'sha256 = "{"0" * 65}"', "sha256"),
        ('revision = "0123456789abcdef0123456789abcdef01234567"', 'revision = "main"', "revision"),
        ('revision = "0123456789abcdef0123456789abcdef01234567"', "", "belong together"),
        ('repo = "owner/name"', 'repo = "name"', "repo"),
        ('repo = "owner/name"', 'repo = "owner/name"\nrepo_type = "bucket"', "repo_type"),
        ('repo = "owner/name"', 'repo = "owner/name"\nrepo_file = "../x.pth"', "repo_file"),
        ('url = "https://example.org/partner.pdparams"', "", "repo, a url or a package_file"),
        ('url = "https://example.org/partner.pdparams"', 'url = "file:///etc/passwd"', "url"),
        ('file = "general.pth"', 'file = "../general.pth"', "file"),
        ('file = "general.pth"', 'file = "general.pth"\nsize = 0', "size"),
        ('sha256 = "0123abcd"', "mirrors = ['https://example.org/x']", "mirrors need a sha256"),
        ('sha256 = "0123abcd"', 'sha256 = "0123abcd"\nmirrors = ["here"]', "mirrors"),
        ('file = "general.pth"', 'file = "general.zip"', "member"),
        ('file = "general.pth"', 'file = "general.pth"\nmember = "x.pkl"', "member"),
        ("commercial = true", "commercial = 1", "commercial"),
        ('stages = ["upscale"]', 'stages = "upscale"', "stages"),
        ('stages = ["upscale"]', "stages = [1]", "stages"),
        ('other = "partner"', 'other = "nobody"', "nobody"),
        ("[partner]", '["../partner"]', "name"),
        ("[general]", "stray = 1\n[general]", "stray"),
        ("[general]", "[general", "cannot be read"),
    ],
)
def test_a_mistake_in_the_catalogue_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    path = tmp_path / "catalog.toml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SettingsError, match=complaint):
        catalog.read_catalogue(path)


def test_files_of_a_catalogue_are_read_as_one(tmp_path: Path) -> None:
    general, partner = tmp_path / "general.toml", tmp_path / "partner.toml"
    first, second = GOOD.split("[partner]")
    general.write_text(first, encoding="utf-8")
    partner.write_text("[partner]" + second, encoding="utf-8")
    assert list(catalog.read_catalogue(partner, general)) == ["partner", "general"]
    with pytest.raises(SettingsError, match=r"\[general\].*general.toml has it a second time"):
        catalog.read_catalogue(general, partner, general)


def test_every_file_of_the_folder_is_read() -> None:
    assert {path.stem for path in catalog.FOLDER.glob("*.toml")} == set(catalog.FAMILIES)
