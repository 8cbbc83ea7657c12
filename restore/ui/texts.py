"""What the page says, in English and in Simplified Chinese.

The texts are in ``texts.toml`` beside this module. A text reaches the page in one of two ways: labels, choices and
buttons of Gradio's components are translated by Gradio in the browser (``label``), and HTML of ours holds both
languages side by side, of which the style sheet shows the one that ``<html lang>`` names (``both``).
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio.i18n import I18nData

from restore import catalog, networks
from restore.catalog import Checkpoint
from restore.inventory import speed_of
from restore.models import offered_for
from restore.stages import Upscale

TEXTS = Path(__file__).with_name("texts.toml")

Language = Literal["en", "zh"]
LANGUAGES: Mapping[Language, str] = {"en": "en", "zh": "zh-Hans"}
"""The languages of the page and what each is called in an attribute ``lang``."""

# Gradio translates every text of a component that happens to be a key, so ours must not be words that anybody writes.
PREFIX = "restore."


@dataclass(frozen=True)
class Text:
    """The same in both languages, as plain text."""

    en: str
    zh: str

    @property
    def html(self) -> str:
        """Escaped, one ``<span>`` per language; none where both are the same."""
        return in_both(escape(self.en), escape(self.zh))


Parameter = str | int | float | Text


def in_both(english: str, chinese: str, tag: str = "span") -> str:
    """HTML in English and the same in Chinese as one piece of HTML, of which one is shown."""
    if english == chinese:
        return english
    return (
        f'<{tag} class="restore-en" lang="{LANGUAGES["en"]}">{english}</{tag}>'
        f'<{tag} class="restore-zh" lang="{LANGUAGES["zh"]}">{chinese}</{tag}>'
    )


def read_texts(path: Path) -> Mapping[str, Text]:
    """The texts of a file by key: ``name`` or ``family.name``.

    Raises ``ValueError`` that names the text for one that lacks a language or whose parameters differ between the two.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return dict(_flat(tables, ""))


def _flat(tables: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Text]]:
    for name, table in tables.items():
        key = f"{prefix}{name}"
        if not isinstance(table, dict):
            raise ValueError(f"The texts are wrong at [{key}]: it is no table.")
        if not prefix and table and all(isinstance(member, dict) for member in table.values()):
            yield from _flat(table, f"{key}.")
            continue
        if table.keys() != LANGUAGES.keys() or not all(isinstance(text, str) and text for text in table.values()):
            raise ValueError(f"The texts are wrong at [{key}]: give it {' and '.join(LANGUAGES)}, and nothing else.")
        english, chinese = (_parameters(table[language]) for language in LANGUAGES)
        if english != chinese:
            raise ValueError(f"The texts are wrong at [{key}]: the words in braces differ between the languages.")
        yield key, Text(table["en"], table["zh"])


def _parameters(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


@cache
def texts() -> Mapping[str, Text]:
    """Every text by key, read once."""
    return read_texts(TEXTS)


def text(key: str, **parameters: Parameter) -> Text:
    """The text ``key`` with its parameters filled in; one that is a ``Text`` is filled in by language.

    Raises ``KeyError`` for a key that is not in the file, and for parameters that are not those of the text.
    """
    template = texts()[key]
    if (wanted := _parameters(template.en)) != parameters.keys():
        raise KeyError(f"The text {key} has the parameters {sorted(wanted)}, not {sorted(parameters)}.")
    english = {name: value.en if isinstance(value, Text) else value for name, value in parameters.items()}
    chinese = {name: value.zh if isinstance(value, Text) else value for name, value in parameters.items()}
    return Text(template.en.format(**english), template.zh.format(**chinese))


def both(key: str, **parameters: Parameter) -> str:
    """HTML that holds the text ``key`` in both languages, escaped, of which the one of the page is shown."""
    return text(key, **parameters).html


def label(key: str) -> I18nData:
    """The text ``key`` for a label, an info, a choice or a button of Gradio's, which translates it in the browser.

    Something may be added behind it (``label("download") + " (PNG)"``), but only once: Gradio translates one text in a
    string. Raises ``KeyError`` for a key that is not in the file or whose text has parameters.
    """
    if _parameters(texts()[key].en):
        raise KeyError(f"The text {key} has parameters, which Gradio cannot fill in.")
    return I18nData(PREFIX + key)


def title_of(entry: Checkpoint) -> Text:
    """What a model of the catalogue is called."""
    return Text(entry.title, entry.title_zh or entry.title)


def model_label(name: str) -> I18nData:
    """What a model of the catalogue is called, for a choice of Gradio's; raises ``SettingsError`` for another name."""
    return I18nData(_model_key(catalog.checkpoint(name)))


def grouped_label(name: str) -> I18nData:
    """The same of a model that enlarges, with what it looks at and how fast it is."""
    return I18nData(_grouped_key(catalog.checkpoint(name)))


def group_of(entry: Checkpoint) -> Text:
    """What a model that enlarges looks at: a frame alone, or those around it too."""
    return text("group.uses_time" if networks.uses_time(entry.name) else "group.per_frame")


def _grouped_key(entry: Checkpoint) -> str:
    return f"{PREFIX}grouped.{entry.name}"


def _grouped_title(entry: Checkpoint) -> Text:
    return joined([group_of(entry), title_of(entry), text(f"speed.{speed_of(entry)}")], " · ", " · ")


def _model_key(entry: Checkpoint) -> str:
    return f"{PREFIX}title.{entry.name}"


def joined(items: Sequence[Text], english: str = ", ", chinese: str = "、") -> Text:
    """Several texts as one, with these words or marks between them."""
    return Text(english.join(item.en for item in items), chinese.join(item.zh for item in items))


def _translations(language: Language) -> dict[str, str]:
    titles = {_model_key(entry): title_of(entry) for entry in catalog.checkpoints().values()}
    grouped = {
        _grouped_key(entry): _grouped_title(entry) for entry in map(catalog.checkpoint, offered_for(Upscale.stage))
    }
    words = {PREFIX + key: each for key, each in texts().items()} | titles | grouped
    return {key: getattr(each, language) for key, each in words.items()}


# "zh" serves every kind of Chinese that a visitor's browser or Gradio's own settings may ask for.
I18N = gr.I18n(en=_translations("en"), zh=_translations("zh"))
