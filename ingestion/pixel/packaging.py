"""Packages pixelnova.js in two ways.

Reads the source, the personal-data rules and a shop's settings; writes a custom pixel to paste, or the folder of an app
pixel extension.
"""

import json
import shutil
from pathlib import Path

from ingestion.errors import IngestionError

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "pixelnova.js"
PERSONAL_DATA = HERE / "personal_data.js"
RULES = HERE.parent / "personal_data.json"
APP_PIXEL = HERE / "app_pixel"


class PackagingError(IngestionError):
    """The pixel cannot be packaged; the message names the remedy."""


def pixel_source() -> str:
    """The whole pixel as one module: the pixel, the removal of personal data and its rules."""
    rules = json.loads(RULES.read_text())
    rules = {name: rule for name, rule in rules.items() if name != "about"}
    rules["texts"] = [{name: part for name, part in rule.items() if name != "what"} for rule in rules["texts"]]
    data = json.dumps(rules, separators=(",", ":"))
    return f"{SOURCE.read_text()}\n{PERSONAL_DATA.read_text()}\nconst PERSONAL_DATA = {data};\n"


def custom_pixel(collector_url: str, ingest_key: str) -> str:
    """The code to paste into Shopify's admin under Settings, Customer events, Add custom pixel."""
    settings = json.dumps({"collectorUrl": collector_url, "ingestKey": ingest_key})
    source = pixel_source().replace("export function", "function")
    api = "{analytics, browser, customerPrivacy: api.customerPrivacy, init}"  # the globals of a custom pixel
    return f"{source}\nstartPixelnova({api}, {settings});\n"


def write_app_pixel(folder: Path) -> Path:
    """Write the extension's folder, for extensions/ of a Shopify app.

    Raises:
        PackagingError: the folder exists or cannot be written.
    """
    if folder.exists():
        raise PackagingError(f"{folder} exists already: choose another folder, or remove it.")
    try:
        shutil.copytree(APP_PIXEL, folder)
        (folder / "src" / SOURCE.name).write_text(pixel_source())
    except OSError as error:
        raise PackagingError(f"{folder} cannot be written ({error.strerror}): choose another folder.") from error
    return folder
