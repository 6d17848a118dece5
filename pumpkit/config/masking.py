"""Putting variables in the place of secrets, in a configuration that is shown."""

import re
from collections.abc import Mapping, Set
from typing import Any

from pumpkit.config.problems import join

#: What the name of a plugin's setting has in it, if that is a secret.
_NAMES = re.compile(
    r"pass(word|wd|phrase)|secret|token|credential|authorization|cookie|dsn|connection.?string"
    r"|(api|access|private|write).?key",
    re.I,
)

#: How such a name ends if it only says where the secret is, or which it is.
_ELSEWHERE = re.compile(r"(file|path|dir|env|key[-_]?id)$", re.I)

#: A password in a URL, before the host; and one among options, of a URL or of a driver.
_IN_URL = re.compile(r"(?<=://)([^/?#@]*?):([^/?#@]+)@|(?<=://)([^@]*?):([^@].*)@", re.S)
_OPTION = re.compile(r"\b([\w-]*(?:password|passwd|pwd|secret|token|api_?key))=([^\s&;#]+)", re.I)

#: A reference to one variable or file and nothing else, which tells no secret.
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}|\$\{file:[^}]*\}")

#: A reference with a default, which may be a secret itself.
_DEFAULT = re.compile(r"\$\{[^}]*:-")


def names_secret(key: str) -> bool:
    """Return whether a setting of a plugin is a secret by its name."""
    return bool(_NAMES.search(key)) and not _ELSEWHERE.search(key)


class Masks:
    """Masks secrets, and remembers what is hidden.

    `settings` are the keys, in kebab-case, that the plugin of a pump declares as secrets, by the pump's name.
    """

    def __init__(self, settings: Mapping[str, Set[str]] | None = None) -> None:
        self._settings = settings or {}
        #: Every variable, and where it stands for what kind of text.
        self.hidden: dict[str, str] = {}
        #: Every variable, and the text that it stands for, as the file has it.
        self.secrets: dict[str, str] = {}

    def mask(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a document, as `show` makes it, without secrets."""
        masked: dict[str, Any] = self._masked(document, (), False)
        return masked

    def _masked(self, value: Any, path: tuple[str, ...], secret: bool) -> Any:
        if isinstance(value, dict):
            return {
                key: self._masked(child, (*path, key), secret or self._names(path, key)) for key, child in value.items()
            }
        if isinstance(value, list):
            return [self._masked(child, (*path, str(index)), secret) for index, child in enumerate(value)]
        if secret and value not in (None, "", True, False):
            return self._variable(str(value), path, "as it is")
        return self._text(value, path) if isinstance(value, str) else value

    def _names(self, path: tuple[str, ...], key: str) -> bool:
        """Return whether a key is that of a secret: one of a plugin's settings."""
        if "meta" not in path[2:3] or path[0] != "pumps":
            return False
        declared = self._settings.get(path[1], frozenset())
        if len(path) == 3 and key.replace("_", "-") in declared:
            return True
        return names_secret(key)

    def _text(self, text: str, path: tuple[str, ...]) -> str:
        if _DEFAULT.search(text) and (_IN_URL.search(text) or _OPTION.search(text)):
            return self._variable(text, path, "as it is")  # it may be within the reference

        def in_url(match: re.Match[str]) -> str:
            user, password = match.group(1, 2) if match[2] else match.group(3, 4)
            return f"{user}:{self._variable(password, path, 'percent-encoded as in a URL')}@"

        def option(match: re.Match[str]) -> str:
            return f"{match[1]}={self._variable(match[2], path, 'as it stands there')}"

        return _OPTION.sub(option, _IN_URL.sub(in_url, text))

    def _variable(self, secret: str, path: tuple[str, ...], how: str) -> str:
        """Return a reference to a variable that stands for a secret; one that is a reference stays."""
        if _REFERENCE.fullmatch(secret):
            return secret
        for name, known in self.secrets.items():
            if known == secret:
                return f"${{{name}}}"
        name = self._name(path)
        where = ""
        for key in path:
            where = join(where, key)
        self.secrets[name], self.hidden[name] = secret, f"{where}, {how}"
        return f"${{{name}}}"

    def _name(self, path: tuple[str, ...]) -> str:
        parts = [part for part in path if part not in ("pumps", "meta", "url")]
        stem = re.sub(r"[^A-Z0-9]+", "_", "_".join(parts).upper())
        name = f"PUMPKIT_{stem}" if _NAMES.search(stem) else f"PUMPKIT_{stem}_PASSWORD"
        number = sum(known == name or known.startswith(f"{name}_") for known in self.secrets)
        return f"{name}_{number + 1}" if number else name
