"""Plugins as they are installed: found by name, checked when they are opened, called as the contract says."""

import gc
import importlib
import sys
from textwrap import dedent, indent

import attrs
import pytest
from pluggy import PluginManager

from pumpkit.config import ConfigInvalid, Meta, PumpConfig, Where
from pumpkit.errors import ConfigError, PartialWrite, Unavailable
from pumpkit.plugins import DEFAULT_TIMEOUT, KNOWN, PluginError, Sink, UnknownAnswer, find, installed, load

HEAD = """
import attrs
import asyncio
import functools
from typing import ClassVar
from pumpkit import hookimpl

"""

NEW = """

@hookimpl
def new(meta):
    return meta.into(TheSink)
"""


class Site:
    """A folder on sys.path to install distributions into."""

    def __init__(self, folder):
        self.folder = folder

    def install(self, name, code, *, dist="some-sink", version="1.2", module=None, value=None):
        """Install a module as a plugin of this name."""
        module = module or f"plugin_{name.replace('-', '_')}"
        (self.folder / f"{module}.py").write_text(code)
        info = self.folder / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        with (info / "entry_points.txt").open("a") as points:
            points.write(f"[pumpkit]\n{name} = {value or module}\n" if points.tell() == 0 else f"{name} = {module}\n")
        importlib.invalidate_caches()

    def open(self, body, *, timeout=None, meta=None, new=NEW, decorate="@attrs.define(eq=False)"):
        """Install a plugin whose sink class has this body, and open it."""
        sink = f"{decorate}\nclass TheSink:\n" + indent(dedent(body).strip() or "pass", "    ")
        self.install("it", HEAD + sink + "\n" + dedent(new))
        return Sink.open(
            PumpConfig(name="p", type="it", timeout=timeout), Meta(meta or {}, Where("file.yaml", {}), "pumps.p.meta")
        )


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return an empty folder on sys.path; what was imported from it is forgotten again."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    importlib.invalidate_caches()


WRITES = """
@hookimpl
def write_data(self, records, ids, timeout, late):
    self.__class__.seen = (records, ids, timeout, late)
"""


def test_a_plugin_is_found_by_its_entry_point_without_importing_it(site):
    """Name, distribution and version are known before any of its code runs."""
    site.install("it", "raise RuntimeError('imported')")
    plugin = find("it")
    assert str(plugin) == "it (some-sink 1.2)"
    assert [str(one) for one in installed()["it"]] == ["it (some-sink 1.2)"]
    assert "plugin_it" not in sys.modules


@pytest.mark.filterwarnings("ignore:Implicit None:DeprecationWarning")
def test_a_broken_installation_does_not_hide_the_others(site):
    """A distribution without its metadata is there, without a name."""
    site.install("it", "", dist="broken", module="broken")
    (site.folder / "broken-1.2.dist-info" / "METADATA").unlink()
    site.install("good", "")
    assert (str(find("it")), str(find("good"))) == ("it (? ?)", "good (some-sink 1.2)")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("paper-tape", "no plugin 'paper-tape' is installed: pip install pumpkit-tape"),
        ("paper-tpae", "did you mean 'paper-tape'? pip install pumpkit-tape"),
        ("kafak", "no plugin 'kafak' is installed; did you mean 'kafka'?"),
        ("zzz", "installed are: "),
    ],
)
def test_a_missing_plugin_is_named_with_what_to_install(site, name, advice, monkeypatch):
    """A known one with its pip line, a misspelt one with the nearest name, any other with what there is."""
    monkeypatch.setitem(KNOWN, "paper-tape", "pumpkit-tape")
    site.install("kafka", "")
    with pytest.raises(PluginError) as caught:
        find(name)
    assert advice in str(caught.value)
    if name == "zzz":
        assert "kafka" in str(caught.value)


def test_two_distributions_with_one_name_are_refused(site):
    """Both are named; neither is chosen by chance."""
    site.install("it", "", dist="first-sink", module="first")
    site.install("it", "", dist="second-sink", version="2.0", module="second")
    with pytest.raises(PluginError, match="several plugins are named 'it'") as caught:
        find("it")
    assert "it (first-sink 1.2), it (second-sink 2.0)" in str(caught.value).replace(
        "it (second-sink 2.0), it (first-sink 1.2)", "it (first-sink 1.2), it (second-sink 2.0)"
    )


def test_one_distribution_that_is_on_the_path_twice_is_one_plugin(site, tmp_path_factory, monkeypatch):
    """As an editable install and its folder are."""
    site.install("it", "")
    other = tmp_path_factory.mktemp("again")
    monkeypatch.syspath_prepend(str(other))
    Site(other).install("it", "")
    assert str(find("it")) == "it (some-sink 1.2)"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import a_driver_that_is_missing", "cannot be imported: ModuleNotFoundError: No module named 'a_driver"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("raise SystemExit('as a program only')", "cannot be imported: SystemExit: as a program only"),
        ("", "has no function `new(meta)`"),
        ("def new(meta): ...", "`new` is not marked; add @hookimpl"),
        ("new = 3", "`new` is not marked; add @hookimpl"),
    ],
)
def test_a_module_that_is_no_plugin(site, code, says):
    """The message says what is wrong with which plugin of which distribution."""
    site.install("it", code)
    with pytest.raises(PluginError) as caught:
        load(find("it"))
    assert str(caught.value).startswith("plugin it (some-sink 1.2)")
    assert says in str(caught.value)


@pytest.mark.parametrize("value", ["plugin_it:new", "plugin_it:TheSink"])
def test_an_entry_point_names_a_module(site, value):
    """A function or a class in it is not enough."""
    site.install("it", HEAD + "class TheSink: ...\n" + NEW, value=value)
    with pytest.raises(PluginError, match=f"must name a module, not '{value}'"):
        load(find("it"))


def test_a_good_plugin(site):
    """What a sink leaves out has its default; a write gets records, ids, time limit and lateness."""
    sink = site.open(WRITES)
    sink.init()
    assert (sink.predicates(), sink.omit_detail(), sink.timeout()) == ([], None, DEFAULT_TIMEOUT)
    assert (sink.ordered, sink.duplicates, str(sink.plugin)) == (False, "never", "it (some-sink 1.2)")
    sink.write([{"a": 1}], ["id"], 3.0, True)
    assert sys.modules["plugin_it"].TheSink.seen == ([{"a": 1}], ["id"], 3.0, True)
    sink.write([], [], None, late=False)
    assert sys.modules["plugin_it"].TheSink.seen == ([], [], None, False)
    sink.close()


@pytest.mark.parametrize(
    "arguments",
    ["", "records", "ids, records", "late", "timeout, ids", "records, /, ids", "records, ids, timeout, late"],
)
def test_arguments_are_opt_in(site, arguments):
    """A hook names what it wants, in any order."""
    site.open(f"""
        @hookimpl
        def write_data(self{", " if arguments else ""}{arguments}):
            assert ("records" in locals()) == {"records" in arguments}
            assert locals().get("ids", ["id"]) == ["id"]
    """).write([{"a": 1}], ["id"], None, late=False)


@pytest.mark.parametrize(
    "method",
    [
        "@hookimpl\n@staticmethod\ndef write_data(records): TheSink.got = records",
        "@staticmethod\n@hookimpl\ndef write_data(records): TheSink.got = records",
        "@classmethod\n@hookimpl\ndef write_data(cls, records): cls.got = records",
        "@hookimpl(specname='write_data')\ndef put(self, records): type(self).got = records",
    ],
)
def test_any_kind_of_method_will_do(site, method):
    """Static and class methods and methods of another name are called like any other."""
    site.open(method).write([{"a": 1}], ["id"], None, late=False)
    assert sys.modules["plugin_it"].TheSink.got == [{"a": 1}]


def test_a_sink_that_is_equal_to_others_and_has_no_hash_works_all_the_same(site):
    """`eq=False` is good advice, but each pump has a plugin manager of its own: nothing compares sinks."""
    sink = site.open("x: int = 1\n" + WRITES, decorate="@attrs.define")
    sink.write([{"a": 1}], ["id"], None, late=False)


def test_a_property_of_the_sink_is_not_touched(site):
    """Opening a sink looks at it without running its code."""
    site.open(WRITES + "\n@property\ndef client(self):\n    raise RuntimeError('not connected')")


SHAPES = {
    "unmarked write_data": (
        "def write_data(self, records): ...",
        "`write_data` of TheSink is not marked; add @hookimpl",
    ),
    "unmarked init": (WRITES + "def init(self): ...", "`init` of TheSink is not marked"),
    "unmarked static": (WRITES + "@staticmethod\ndef close(): ...", "`close` of TheSink is not marked"),
    "no write_data": ("@hookimpl\ndef init(self): ...", "the sink has no `write_data`"),
    "nothing": ("", "the sink has no `write_data`"),
    "misspelt": (
        WRITES + "@hookimpl\ndef omit_detial(self): ...",
        "`omit_detial` is no hook; did you mean `omit_detail`?",
    ),
    "invented": (WRITES + "@hookimpl\ndef explode(self): ...", "`explode` is no hook"),
    "two of write_data": (
        WRITES + "@hookimpl(specname='write_data')\ndef also(self): ...",
        "the sink has 2 `write_data`; it needs exactly one",
    ),
    "async write_data": ("@hookimpl\nasync def write_data(self, records): ...", "`write_data` is async"),
    "async generator": ("@hookimpl\nasync def write_data(self, records):\n    yield", "`write_data` is async"),
    "generator": ("@hookimpl\ndef write_data(self, records):\n    yield", "`write_data` is a generator"),
    "async init": (WRITES + "@hookimpl\nasync def init(self): ...", "`init` is async"),
    "wrapper": ("@hookimpl(wrapper=True)\ndef write_data(self):\n    return (yield)", "`write_data` is a hook wrapper"),
    "old wrapper": (WRITES + "@hookimpl(hookwrapper=True)\ndef init(self):\n    yield", "`init` is a hook wrapper"),
    "default": ("@hookimpl\ndef write_data(self, records, ids=None): ...", "takes `ids=None`, which is never passed"),
    "keyword-only": ("@hookimpl\ndef write_data(self, *, records): ...", "takes `records`, which is never passed"),
    "star": ("@hookimpl\ndef write_data(self, *everything): ...", "takes `*everything`, which is never passed"),
    "double star": ("@hookimpl\ndef write_data(self, **kw): ...", "takes `**kw`, which is never passed"),
    "unknown argument": ("@hookimpl\ndef write_data(self, recs): ...", "'recs'"),
    "partial": ("write_data: ClassVar = functools.partial(print)", "is not marked"),
    "marked partial": (
        "write_data: ClassVar = hookimpl(functools.partial(print))",
        "is a partial; it must be a method",
    ),
    "ordered is no bool": (
        WRITES + "ordered: ClassVar[str] = 'yes'",
        "`ordered` of TheSink must be one of (True, False)",
    ),
    "ordered is a meta key": (WRITES + "ordered: bool = False", "stand in the class, as ClassVar[bool]"),
    "ordered is a property": (
        WRITES + "@property\ndef ordered(self): return True",
        "stand in the class, as ClassVar[bool]",
    ),
    "duplicates": (WRITES + "duplicates: ClassVar[str] = 'often'", "must be one of ('never', 'possible')"),
    "duplicates is a meta key": (WRITES + "duplicates: str = 'never'", "stand in the class, as ClassVar[str]"),
}


@pytest.mark.parametrize(("body", "says"), SHAPES.values(), ids=SHAPES)
def test_a_sink_of_the_wrong_shape_is_refused_when_it_is_opened(site, body, says):
    """Before any record is fetched, with what is wrong and what to do: pluggy would let most of them pass."""
    with pytest.raises(PluginError) as caught:
        site.open(body)
    assert str(caught.value).startswith("plugin it (some-sink 1.2): ")
    assert says in str(caught.value)


NEWS = {
    "None": ("@hookimpl\ndef new(meta): ...", "new() returned None"),
    "class": ("@hookimpl\ndef new(meta): return TheSink", "new() returned the class TheSink; it must return an object"),
    "text": ("@hookimpl\ndef new(meta): return 'sink'", "the sink has no `write_data`"),
    "raises": ("@hookimpl\ndef new(meta): raise RuntimeError('no')", "RuntimeError: no"),
    "exits": ("@hookimpl\ndef new(meta): raise SystemExit(2)", "SystemExit: 2"),
    "async": ("@hookimpl\nasync def new(meta): ...", "`new` is async"),
    "generator": ("@hookimpl\ndef new(meta):\n    yield", "`new` is a generator"),
    "default": ("@hookimpl\ndef new(meta=None): ...", "`new` takes `meta=None`, which is never passed"),
    "unknown argument": ("@hookimpl\ndef new(settings): ...", "'settings'"),
    "write_data in the module": (NEW + "@hookimpl\ndef write_data(records): ...", "`write_data` belongs to the sink"),
    "misspelt in the module": (NEW + "@hookimpl\ndef fitlers(config): ...", "did you mean `filters`?"),
    "wrapper": ("@hookimpl(wrapper=True)\ndef new(meta):\n    return (yield)", "`new` is a hook wrapper"),
    "itself": ("@hookimpl\ndef new(meta):\n    import sys\n    return sys.modules[__name__]", "already registered"),
}


@pytest.mark.parametrize(("new", "says"), NEWS.values(), ids=NEWS)
def test_a_new_of_the_wrong_shape_is_refused(site, new, says):
    """So is a `new` that makes no sink."""
    with pytest.raises(PluginError) as caught:
        site.open(WRITES, new=new)
    assert str(caught.value).startswith("plugin it (some-sink 1.2): ")
    assert says in str(caught.value)


def test_hooks_of_later_versions_are_optional(site):
    """A plugin may be ahead of this pumpkit, if it says so."""
    site.open(WRITES + "\n@hookimpl(optionalhook=True)\ndef flush_soon(self): ...")


def test_meta_that_does_not_fit_is_a_problem_of_the_file(site):
    """It keeps its file and key path, and is not blamed on the plugin."""
    with pytest.raises(ConfigInvalid) as caught:
        site.open("path: str\n" + WRITES, meta={"pth": "x"})
    assert {problem.file for problem in caught.value.problems} == {"file.yaml"}
    assert "pth" in str(caught.value)


def test_an_error_of_configuration_in_new_stays_one(site):
    """A sink may find more wrong with its meta than types can say."""
    new = "from pumpkit import ConfigError\n@hookimpl\ndef new(meta): raise ConfigError('two hosts, one port')"
    with pytest.raises(ConfigError, match=r"^two hosts, one port$"):
        site.open(WRITES, new=new)


def test_an_open_pump_takes_no_more_plugins(site):
    """Nothing joins a pump once it is open, not even what goes looking for its plugin manager."""
    sink = site.open(WRITES)
    [manager] = [one for one in gc.get_objects() if issubclass(type(one), PluginManager) and one.hook is sink._hook]
    with pytest.raises(PluginError, match="fixed once it is open"):
        manager.register(object())


@pytest.mark.parametrize(
    ("answer", "shown"),
    [("False", "False"), ("True", "True"), ("[]", "[]"), ("0", "0"), ("len(records)", "1"), ("''", "''")],
)
def test_any_answer_is_an_unknown_verdict(site, answer, shown):
    """Only a `write_data` that returns nothing has written."""
    sink = site.open(f"""
        @hookimpl
        def write_data(self, records):
            return {answer}
    """)
    with pytest.raises(UnknownAnswer, match="it must return nothing, or raise a verdict") as caught:
        sink.write([{"a": 1}], ["id"], None, late=False)
    assert f"write_data returned {shown}" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("Unavailable('busy', retry_after=3)", Unavailable),
        ("PartialWrite({0: 'no'})", PartialWrite),
        ("ConfigError('no index')", ConfigError),
        ("ConnectionResetError()", ConnectionError),
        ("KeyError('x')", KeyError),
        ("SystemExit(3)", SystemExit),
    ],
)
def test_what_a_sink_raises_comes_through(site, error, kind):
    """Every verdict reaches the pump as it was raised."""
    sink = site.open(f"""
        @hookimpl
        def write_data(self):
            from pumpkit import ConfigError, PartialWrite, Unavailable
            raise {error}
    """)
    with pytest.raises(kind):
        sink.write([{"a": 1}], ["id"], None, late=False)


@pytest.mark.parametrize(
    ("configured", "asked", "seconds"),
    [
        (None, "None", DEFAULT_TIMEOUT),
        (None, "2", 2.0),
        (None, "0.5", 0.5),
        (None, "0", None),
        (3.0, "0.5", 3.0),
        (0.0, "0.5", None),
    ],
)
def test_the_time_limit(site, configured, asked, seconds):
    """The configuration wins, then the plugin, then 10 seconds; 0 is no limit."""
    sink = site.open(WRITES + f"\n@hookimpl\ndef timeout(self, config): return {asked}", timeout=configured)
    assert sink.timeout() == seconds


@pytest.mark.parametrize("odd", ["-1", "True", "'10'", "float('nan')", "float('inf')", "[]", "10j"])
def test_an_odd_time_limit_is_refused(site, odd):
    """It must be seconds, 0 or more."""
    sink = site.open(WRITES + f"\n@hookimpl\ndef timeout(self, config): return {odd}")
    with pytest.raises(PluginError, match=r"timeout\(\) returned .*; it must be seconds, 0 or more"):
        sink.timeout()


@pytest.mark.parametrize("odd", ["3", "'x'", "[print]", "{}", "odd"])
@pytest.mark.parametrize("hook", ["filters", "omit_detail"])
def test_odd_answers_of_filters_and_omit_detail_are_refused(site, hook, odd):
    """They must be plain functions of a record, or None: a coroutine would let everything through."""
    sink = site.open(
        WRITES + f"\n@hookimpl\ndef {hook}(self, config):\n    async def odd(record): ...\n    return {odd}"
    )
    with pytest.raises(
        PluginError, match=f"{hook}\\(\\) returned .*; it must be a plain function of a record, or None"
    ):
        sink.predicates() if hook == "filters" else sink.omit_detail()


def test_hooks_get_the_pumps_configuration(site):
    """Each sees how the pump is configured, and what it answers is used."""
    sink = site.open(
        WRITES
        + """
@hookimpl
def filters(self, config): return lambda record: record["pump"] == config.name

@hookimpl
def omit_detail(self, config): return lambda record: {"pump": config.name}

@hookimpl
def timeout(self, config): return config.batch_records / 50
"""
    )
    [predicate] = sink.predicates()
    assert (predicate({"pump": "p"}), predicate({"pump": "q"})) == (True, False)
    assert sink.omit_detail()({"a": 1}) == {"pump": "p"}
    assert sink.timeout() == sink.config.batch_records / 50


def test_a_sink_is_connected_and_closed(site):
    """`init` gets the configuration of its pump, frozen; `close` is called by nothing but a close."""
    sink = site.open(
        WRITES
        + """
calls: ClassVar[list] = []

@hookimpl
def init(self, config): self.calls.append(config)

@hookimpl
def close(self): self.calls.append("close")
"""
    )
    calls = sys.modules["plugin_it"].TheSink.calls
    assert calls == []
    sink.init()
    assert calls == [sink.config]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        calls[0].name = "another"
    sink.close()
    assert calls == [sink.config, "close"]


def test_a_sink_says_how_it_wants_to_be_treated(site):
    """`ordered` and `duplicates` stand in the class."""
    sink = site.open("ordered: ClassVar[bool] = True\nduplicates: ClassVar[str] = 'possible'\n" + WRITES)
    assert (sink.ordered, sink.duplicates) == (True, "possible")


def test_duplicates_may_depend_on_the_settings(site):
    """`duplicates` may be a property of the class, where what it says of this sink counts."""
    assert site.open(WRITES + "@property\ndef duplicates(self): return 'possible'").duplicates == "possible"


def test_what_a_property_says_of_duplicates_is_looked_at_as_well(site):
    """`duplicates` has two values, wherever they come from."""
    with pytest.raises(PluginError, match="must be one of"):
        site.open(WRITES + "@property\ndef duplicates(self): return 'often'")
