"""A study in optuna-dashboard, while its search runs or after: pages that only read.

The driver alone writes a study. So the journal is followed without a lock or a repair, and whatever
the pages offer that would write is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from palmette.search.ledger.watched import watched
from palmette.space.errors import InputError
from palmette.space.installing import pip_install

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_READS = ("GET", "HEAD")


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several at once: a plot may take seconds."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Does not print each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def dashboard(place: Path | str, host: str, port: int) -> Iterator[WSGIServer]:
    """A server of the pages, bound and ready to serve.

    Args:
        place: path of a journal, or URL of a database.
        host: address to listen on; there is no password, so beyond this machine anybody may read.
        port: to listen on; 0: a free one.

    Raises:
        InputError: no study there, optuna-dashboard is not installed, the port is taken.
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise InputError(f"dashboard: needs optuna-dashboard; {pip_install('dashboard')}") from None
    with watched(place) as storage:
        pages = reading(wsgi(storage))
        try:
            server = make_server(host, port, pages, server_class=_Server, handler_class=_Quiet)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"dashboard: can't listen on {host}:{port} ({error}); give another --port"
            ) from None
        with server:
            yield server


def reading(pages: WSGIApplication) -> WSGIApplication:
    """Pages that answer what reads and refuse the rest."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in _READS:
            return pages(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [b'{"reason": "read only: the driver of the search alone writes its study"}']

    return answer


def journal_of(run: str) -> Path | str:
    """The place that a user names: the URL of a database, or where the run of a folder is kept.

    Raises:
        InputError: a folder of runs for several targets, or one whose database needs a password.
    """
    from palmette.search.compute import Compute
    from palmette.search.ledger.place import is_url
    from palmette.search.run_folder import RunFolder
    from palmette.search.target_runs import expect_one_run

    if is_url(run):
        return run
    folder = RunFolder(Path(run))
    expect_one_run(folder.path)
    if not folder.config.is_file():
        return folder.journal
    return Compute().place(folder.read_config()[1], folder.journal, folder.config)
