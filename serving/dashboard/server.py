"""Runs the dashboard's server.

Takes the command's options, serves until Ctrl-C.
"""

import os
import socket
import threading
import time
from pathlib import Path

from serving.dashboard.access import access_of_environment, refuse_open_address
from serving.dashboard.environment import ANNOTATIONS_VARIABLE, DATA_VARIABLE
from serving.errors import ServingError
from serving.listening import listen

APP = Path(__file__).with_name("app.py")
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
OPTIONS = {
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "global.developmentMode": False,
    "logger.level": "warning",
    "logger.hideWelcomeMessage": True,
    "theme.chartCategoricalColors": list(COLORS),
    "theme.primaryColor": COLORS[0],
}


class StreamlitMissing(ServingError):
    """The dashboard's packages are not installed."""


def serve_dashboard(host: str, port: int, data: Path, annotations: Path) -> None:
    """Serve until Ctrl-C.

    port: 0 takes a free one.

    Raises:
        LoopbackOnly: the address is open to others, and no access file is named.
        AccessFileError: the access file is malformed.
        CannotListen: the port is in use.
        StreamlitMissing: Streamlit is not installed.
    """
    refuse_open_address(host, access_of_environment())
    try:
        from streamlit.web import bootstrap
    except ImportError:
        raise StreamlitMissing("The dashboard needs Streamlit: install pixelnova[dashboard].") from None
    with listen(host, port) as listener:  # reports a port in use clearly, which Streamlit does not
        port = listener.getsockname()[1]
    os.environ |= {DATA_VARIABLE: str(data), ANNOTATIONS_VARIABLE: str(annotations)}
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # so that the peer's own address decides whether it is the proxy
    options = {**OPTIONS, "server.address": host, "server.port": port}
    flags = {name.replace(".", "_"): value for name, value in options.items()}
    bootstrap.load_config_options(flag_options=flags)
    threading.Thread(target=_announce, args=(host, port), daemon=True).start()
    bootstrap.run(str(APP), is_hello=False, args=[], flag_options=flags)


def _announce(host: str, port: int) -> None:
    """Print the address once it answers."""
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            print(f"Pixelnova dashboard listening on http://{host}:{port}", flush=True)  # noqa: T201
            return
