"""The two packagings of pixelnova.js.

The source and a shop's settings flow in; a custom pixel to paste, or the folder of an app pixel extension, flows out.
"""

import json
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "pixelnova.js"
APP_PIXEL = HERE / "app_pixel"


class PackagingError(Exception):
    """The pixel cannot be packaged; the message names the remedy."""


def custom_pixel(collector_url: str, ingest_key: str) -> str:
    """What to paste into Shopify's admin under Settings, Customer events, Add custom pixel."""
    settings = json.dumps({"collectorUrl": collector_url, "ingestKey": ingest_key})
    source = SOURCE.read_text().replace("export function", "function")
    api = "{analytics, browser, customerPrivacy: api.customerPrivacy, init}"  # the globals of a custom pixel
    return f"{source}\nstartPixelnova({api}, {settings});\n"


def write_app_pixel(folder: Path) -> Path:
    """Write the extension's folder, to lie under extensions/ of a Shopify app.

    Raises:
        PackagingError: the folder is there already or cannot be written.
    """
    if folder.exists():
        raise PackagingError(f"{folder} exists already: name a folder that does not, or remove it.")
    try:
        shutil.copytree(APP_PIXEL, folder)
        shutil.copy(SOURCE, folder / "src")
    except OSError as error:
        raise PackagingError(f"{folder} cannot be written ({error.strerror}): choose another folder.") from error
    return folder
