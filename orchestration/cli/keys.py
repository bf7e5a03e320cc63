"""The commands `keys …`: create, list and revoke API keys of shops.

Read and write the file of API keys, and shops.toml for the shop's name.
"""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from orchestration.cli.arguments import chosen_shop
from orchestration.cli.terminal import console, say
from orchestration.settings import data_folder

Shop = Annotated[str | None, typer.Option(help="Domain of the shop; default: the first in shops.toml.")]


def add(
    shop: Shop = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="analytics, status or visitors; repeatable. Default: analytics and status."),
    ] = None,
    label: Annotated[str, typer.Option(help="Who uses the key.")] = "",
    allow: Annotated[
        list[str] | None, typer.Option(help="IP address or network that may use the key; repeatable. Default: any.")
    ] = None,
    requests_per_minute: Annotated[int, typer.Option(min=0, help="Limit per worker; 0 means unlimited.")] = 600,
) -> None:
    """Create an API key for a shop. It is shown once; only its hash is stored."""
    from serving.api.keys import SCOPES, add_key, keys_file

    scopes = tuple(scope or ("analytics", "status"))
    unknown = [one for one in scopes if one not in SCOPES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(SCOPES)}.", param_hint="--scope")
    file = keys_file(data_folder())
    key, text = add_key(file, chosen_shop(shop).domain, scopes, label, tuple(allow or ()), requests_per_minute)
    say(f"Key {key.id} for {key.shop} ({', '.join(key.scopes)}). It will not be shown again:")
    print(text)  # noqa: T201  (unformatted, so that it can be piped)


def list_keys() -> None:
    """List the API keys, without their secrets."""
    from serving.api.keys import keys_file, read_keys

    file = keys_file(data_folder())
    keys = read_keys(file)
    if not keys:
        say(f"No API keys in {file} yet: `pixelnova keys add` creates one.")
        return
    table = Table("Key", "Shop", "Scopes", "Label", "Allowed from", "Per minute", "Created")
    for key in keys:
        allowed = ", ".join(key.allow) or "anywhere"
        table.add_row(
            *(escape(text) for text in (key.id, key.shop, ", ".join(key.scopes), key.label, allowed)),
            str(key.requests_per_minute or "unlimited"),
            f"{key.created_at:%Y-%m-%d}",
        )
    console.print(table)


def revoke(key: Annotated[str, typer.Argument(help="The id that `pixelnova keys list` shows.")]) -> None:
    """Revoke an API key. A running API refuses it at once."""
    from serving.api.keys import keys_file, revoke_key

    revoked = revoke_key(keys_file(data_folder()), key)
    say(f"Key {revoked.id} of {revoked.shop} is revoked.")
