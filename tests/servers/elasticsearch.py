"""A real Elasticsearch node, version 8 or 9, from the published jars (`tests.servers.install` gets them).

What it lacks are the modules that are not published: lifecycle management, scripts, most ingest processors.
"""

import base64
import contextlib
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tests.servers import java
from tests.servers.certificates import Certificates
from tests.servers.process import INSTALLED, ServerProcess

#: The superuser of a node with security: name and password, and the hash that its file of users holds.
ROOT = ("root", "root-password-4711")
_ROOT_HASH = "$2a$10$7AYvAEt0P4cLGzG3hzjCaeEu6.tBFTYMsBrFrLqKcYyD2Xok3UMzy"

#: The least version of Java by Elasticsearch's major version.
_JAVA = {8: 17, 9: 21}

#: Modules of a node, and those that security needs besides.
_PLAIN, _SECURITY = ["transport-netty4"], ["x-pack-core", "x-pack-security", "analysis-lite"]

#: Free space on the disk that a node asks for: little, so that a disk that is nearly full makes no test fail.
_DISK = [f"cluster.routing.allocation.disk.watermark.{mark}=1mb" for mark in ("low", "high", "flood_stage")]

_LOGGING = """\
appender.c.type = Console
appender.c.name = c
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d %-5p %c{1.} %m%n
rootLogger.level = info
rootLogger.appenderRef.c.ref = c
"""


def installed_major() -> int:
    """Return the major version of the client that is imported here: it decides which server is tested against."""
    import elasticsearch

    return int(elasticsearch.__version__[0])


def missing_for(major: int) -> str:
    """Return what is missing here for a node of this version, empty if nothing is."""
    wanted = os.environ.get("PUMPKIT_TEST_ELASTIC")
    if wanted and int(wanted) != installed_major():  # a run that is to test another client would test this one again
        return f"the client of Elasticsearch {wanted}"
    if java.find(_JAVA[major]) is None:
        return f"Java {_JAVA[major]}"
    installed = all((INSTALLED / name).exists() for name in ("node", f"elasticsearch-{major}"))
    return "" if installed else f"Elasticsearch {major}"


class ElasticServer(ServerProcess):
    """One node that is a cluster of its own. `settings` are NAME=VALUE; with certificates it speaks only TLS.

    With `security` it asks for a user; `ROOT` may do all.
    """

    patience = 90.0

    #: What `clean` sets the settings of the cluster to, by kind.
    settings_before: Mapping[str, dict[str, str]] = MappingProxyType({})

    def __init__(
        self,
        *settings: str,
        major: int | None = None,
        security: bool = False,
        certificates: Certificates | None = None,
    ) -> None:
        super().__init__("elasticsearch")
        self.major = major or installed_major()
        self.settings = settings
        self.security = security
        self.certificates = certificates
        self._make_home()

    @property
    def url(self) -> str:
        """Where it is, without a user."""
        return f"{'https' if self.certificates else 'http'}://127.0.0.1:{self.port}"

    @property
    def _address(self) -> str:
        return self.url

    def _make_home(self) -> None:
        config, modules = self.folder / "config", self.folder / "modules"
        config.mkdir()
        modules.mkdir()
        (config / "elasticsearch.yml").touch()
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        for name in _PLAIN + (_SECURITY if self.security else []):
            (modules / name).symlink_to(INSTALLED / f"elasticsearch-{self.major}" / "modules" / name)
        if self.security:
            (config / "users").write_text(f"{ROOT[0]}:{_ROOT_HASH}\n")
            (config / "users_roles").write_text(f"superuser:{ROOT[0]}\n")
        if self.certificates:
            shutil.copy(self.certificates.file("server"), config / "server.pem")
            shutil.copy(self.certificates.key("server"), config / "server.key")

    def command(self) -> list[str]:
        """Return the command that starts it."""
        program = java.find(_JAVA[self.major])
        heap = "384m" if self.security else "256m"
        lib = INSTALLED / f"elasticsearch-{self.major}" / "lib"
        command = [str(program), f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties"]
        command += ["-cp", f"{INSTALLED}/node/ElasticNode:{lib}/*", "ElasticNode", str(self.folder)]
        command += ["network.host=127.0.0.1", f"http.port={self.port}", f"transport.port={self.port + 10_000}"]
        command += ["discovery.type=single-node", *_DISK, *(["xpack.security.enabled=true"] if self.security else [])]
        if self.certificates:
            command += ["xpack.security.http.ssl.enabled=true", "xpack.security.http.ssl.key=server.key"]
            command += ["xpack.security.http.ssl.certificate=server.pem"]
        return [*command, *self.settings]

    def answers(self) -> bool:
        """Return whether it is up, with every index of before."""
        with contextlib.suppress(OSError):
            path = "/_cluster/health?wait_for_status=yellow&timeout=1s"
            return self.request("GET", path, patience=5)[0] == 200
        return False

    def request(
        self, method: str, path: str, body: Any = None, *, user: tuple[str, str] | None = ROOT, patience: float = 30
    ) -> tuple[int, Any]:
        """Send a request; return status and answer. `body` is JSON, or bytes of lines of JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data, method=method)
        request.add_header("Content-Type", "application/x-ndjson" if isinstance(body, bytes) else "application/json")
        if self.security and user is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(user).encode()).decode())
        context = ssl.create_default_context(cafile=self.certificates.file("ca")) if self.certificates else None
        try:
            with urllib.request.urlopen(request, timeout=patience, context=context) as answer:
                return answer.status, _json(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _json(error.read())

    def count(self, index: str) -> int:
        """Return how many documents an index, or a pattern of indices, has."""
        self.request("POST", f"/{index}/_refresh?ignore_unavailable=true")
        status, answer = self.request("GET", f"/{index}/_count?ignore_unavailable=true")
        assert status == 200, answer
        assert not answer["_shards"]["failed"], answer
        return int(answer["count"])

    def documents(self, index: str) -> list[dict[str, Any]]:
        """Return every document of an index or a pattern of indices, each with its id as `_id` and `_index`."""
        self.request("POST", f"/{index}/_refresh")
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"size": 5_000, "sort": ["_shard_doc"], "query": {"match_all": {}}}
        status, point = self.request("POST", f"/{index}/_pit?keep_alive=1m&ignore_unavailable=true")
        if status == 404:
            return []
        while True:
            status, answer = self.request("POST", "/_search", query | {"pit": {"id": point["id"], "keep_alive": "1m"}})
            assert status == 200, answer
            hits = answer["hits"]["hits"]
            found += [hit["_source"] | {"_id": hit["_id"], "_index": hit["_index"]} for hit in hits]
            if len(hits) < query["size"]:
                self.request("DELETE", "/_pit", {"id": point["id"]})
                return found
            query["search_after"] = hits[-1]["sort"]

    def clean(self) -> None:
        """Make it as good as new: it runs, and has no index, data stream, template, pipeline or setting of a test."""
        if not self.alive:
            self.start()
        self.resume()
        for kind, values in self.cluster_settings().items():
            before = self.settings_before.get(kind, {})
            if values != before:
                self.request("PUT", "/_cluster/settings", {kind: dict.fromkeys(values) | before})
        if streams := self.data_streams():
            self._drop_data_streams(streams)
        for path in self.made():
            status, answer = self.request("DELETE", path)
            if status == 403:  # an index that is read-only
                self.request("PUT", f"{path}/_settings", {"index.blocks.read_only": None})
                status, answer = self.request("DELETE", path)
            assert status == 200, f"{path}: {answer}"

    def cluster_settings(self) -> dict[str, dict[str, str]]:
        """Return the settings of the cluster that were changed while it runs, by kind: persistent and transient."""
        settings: dict[str, dict[str, str]] = self.request("GET", "/_cluster/settings?flat_settings=true")[1]
        return settings

    def data_streams(self) -> list[str]:
        """Return the names of the data streams, but for those of Elasticsearch itself."""
        streams = self._metadata().get("data_stream", {}).get("data_stream", {})
        return [name for name in streams if not name.startswith(".")]

    def made(self) -> list[str]:
        """Return the paths of what users can make besides, each before what it may be made of."""
        state = self._metadata()
        kinds = {
            "": state.get("indices", {}),
            "/_index_template": state.get("index_template", {}).get("index_template", {}),
            "/_component_template": state.get("component_template", {}).get("component_template", {}),
            "/_template": state.get("templates", {}),
            "/_ingest/pipeline": [pipeline["id"] for pipeline in state.get("ingest", {}).get("pipeline", [])],
        }
        every = ((kind, name) for kind, names in kinds.items() for name in names)
        return [f"{kind}/{urllib.parse.quote(name, safe='')}" for kind, name in every if not name.startswith(".")]

    def _metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.request("GET", "/_cluster/state/metadata?filter_path=metadata")[1]["metadata"]
        return metadata

    def _drop_data_streams(self, names: list[str]) -> None:
        """Begin with no data: the module that can delete data streams is not published."""
        self.kill()
        shutil.rmtree(self.folder / "data")
        self.start()

    def wait_for_status(self, status: str) -> None:
        """Wait until the cluster's health is yellow or green."""
        deadline = time.monotonic() + self.patience
        while self.request("GET", f"/_cluster/health?wait_for_status={status}&timeout=5s")[0] != 200:
            assert time.monotonic() < deadline, f"the cluster did not become {status}"


def _json(body: bytes) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(body)
    return body.decode(errors="replace")
