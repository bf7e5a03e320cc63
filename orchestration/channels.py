"""Message channels: services such as mail or Slack, configured as apprise URLs in the environment.

Reads URLs from a variable, sends messages.
"""

import hashlib
import os
from typing import Any

from orchestration.errors import OrchestrationError


class ChannelError(OrchestrationError):
    """Messages cannot be sent; the message names the remedy and contains no secret."""


def channels(variable: str) -> dict[str, Any]:
    """The services of a variable's URLs, which are separated by spaces, by id; none if it is not set.

    Ids are hashes of the URLs, because URLs contain secrets.

    Raises:
        ChannelError: apprise is not installed, or does not know a URL.
    """
    urls = os.environ.get(variable, "").split()
    if not urls:
        return {}
    try:
        import apprise
    except ImportError:
        raise ChannelError(f"{variable} needs apprise: install pixelnova[alerts], or remove the variable.") from None
    services = [apprise.Apprise.instantiate(url) for url in urls]
    if None in services:
        raise ChannelError(
            f"URL {services.index(None) + 1} of {variable} is not supported by apprise: see the services "
            "in its documentation."
        )
    ids = [hashlib.sha256(url.encode()).hexdigest()[:16] for url in urls]
    return dict(zip(ids, services, strict=True))


def deliver(service: Any, variable: str, title: str, text: str, html: str = "", kind: str = "info") -> None:
    """Send a message to a service. html: for services that prefer it, such as mail. kind: apprise's type.

    Raises:
        ChannelError: the service did not accept it.
    """
    import apprise

    one = apprise.Apprise()
    one.add(service)
    formats = service.notify_format  # several, the preferred one first, or a single one
    preferred = formats[0] if isinstance(formats, tuple) else formats
    as_html = bool(html) and preferred == apprise.NotifyFormat.HTML
    body, written_in = (html, apprise.NotifyFormat.HTML) if as_html else (text, apprise.NotifyFormat.TEXT)
    if not one.notify(title=title, body=body, body_format=written_in, notify_type=kind):
        raise ChannelError(f"A message could not be sent: check the URLs of {variable} and the network.")
