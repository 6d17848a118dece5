"""All ways, in the order of the page."""

from tests.ways import (
    children,
    exits,
    forks,
    loops,
    subinterpreters,
    under_celery,
    under_gunicorn,
    under_other_servers,
    under_rq,
    under_uvicorn,
    under_uwsgi,
)

WAYS = [
    *exits.WAYS,
    *forks.WAYS,
    *children.WAYS,
    *loops.WAYS,
    *subinterpreters.WAYS,
    *under_gunicorn.WAYS,
    *under_uvicorn.WAYS,
    *under_other_servers.WAYS,
    *under_uwsgi.WAYS,
    *under_celery.WAYS,
    *under_rq.WAYS,
]
