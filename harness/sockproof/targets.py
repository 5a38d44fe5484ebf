"""Targets: the rows of a report. The runner checks a target's file; this is the view that lists and resolves them."""

import re
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sockproof import paths

DEFAULT_TARGET = "linux"
DEFAULT_PROFILE = "linux"
PROVIDERS = ("posix", "lib", "reference", "shim", "winsock", "wsp")  # those that need no file: PROVIDER or PROVIDER:ARG
WINDOWS_PROFILES = {"winsock": "winsock", "wsp": "winsock-spi"}  # of providers that there are on Windows alone
REFERENCE_PROFILES = ("posix", "linux", "winsock", "winsock-spi")


class UnknownTarget(Exception):
    """There is no such target; the text says which there are."""


@dataclass(frozen=True)
class Target:
    """One target. `file` is None for one that was named as PROVIDER[:ARG] instead of by a file."""

    name: str
    provider: str
    profile: str
    text: str = ""
    launcher: str = ""
    launcher_mode: str = "scenario"
    for_windows: bool = False  # the battery is a Windows program
    isolation: str | None = None  # what the runner is told unless the user says otherwise
    packages: str = ""  # the set of ci/packages.SET that it needs beside those of a run
    prepare: str = ""  # a command for the shell that makes what it needs, in {here} (the file's folder) and {build}
    file: Path | None = None
    deviations: list[dict[str, Any]] = field(default_factory=list)

    def runner_arguments(self) -> list[str]:
        """How the runner is told."""
        if self.file is not None:
            return ["--target", str(self.file)]
        return ["--provider", self.provider, "--profile", self.profile]


def load(file: Path) -> Target:
    """The target in `file`. Raises UnknownTarget with the reason where it cannot be read."""
    try:
        with file.open("rb") as text:
            table = tomllib.load(text)
    except (OSError, tomllib.TOMLDecodeError) as reason:
        raise UnknownTarget(f"{file}: {reason}") from reason
    return Target(
        name=table.get("name", file.stem),
        provider=table.get("provider", ""),
        profile=table.get("profile", ""),
        text=table.get("text", ""),
        for_windows=table.get("platform") == "windows",
        launcher=table.get("launcher", ""),
        launcher_mode=table.get("launcher_mode", "scenario"),
        packages=table.get("packages", ""),
        prepare=table.get("prepare", ""),
        file=file.resolve(),
        deviations=table.get("deviation", []),
    )


def _folders() -> list[Path]:
    """Where targets are, the nearest first: on Windows itself, nothing deviates as it does under Wine."""
    return [*([paths.TARGETS / "windows"] if sys.platform == "win32" else []), paths.TARGETS]


def known() -> list[Target]:
    """The targets that come with sockproof, by name."""
    files = {file.name: file for folder in reversed(_folders()) for file in folder.glob("*.toml")}
    return [load(files[name]) for name in sorted(files)]


def resolve(text: str, profile: str | None = None) -> Target:
    """What TARGET on a command line means: a target's name, a file.toml, or PROVIDER[:ARG] (with `profile`)."""
    if re.fullmatch(r"[\w.-]+", text):
        for folder in _folders():
            if (folder / f"{text}.toml").is_file():
                return load(folder / f"{text}.toml")
    if text.endswith(".toml"):
        return load(Path(text))
    provider, colon, argument = text.partition(":")
    if provider in PROVIDERS and (argument or not colon):
        if provider in ("lib", "wsp") and not argument:
            raise UnknownTarget(f"{provider} wants a library: {'lib:./libmystack.so' if provider == 'lib' else 'wsp:mystack.dll'}")
        if provider in WINDOWS_PROFILES or argument.lower().endswith(".dll"):
            # The sockets live in the servers of Wine, each in a network of its own.
            own: str = WINDOWS_PROFILES.get(provider, "winsock")
            return Target(name=text, provider=text, profile=profile or own, for_windows=True, isolation="none")
        if provider == "shim":
            return _shim(argument, profile or DEFAULT_PROFILE)
        if provider == "reference":
            return _reference(argument or profile or DEFAULT_PROFILE)
        return Target(name=text, provider=text, profile=profile or DEFAULT_PROFILE)
    names = ", ".join(target.name for target in known())
    raise UnknownTarget(f"no target '{text}'. Targets: {names}. Also: a target's file.toml, or a provider: posix, lib:FILE.so, "
                        "reference, reference:PROFILE, shim:COMMAND, wsp:FILE.dll, lib:FILE.dll")


def _reference(argument: str) -> Target:
    if argument not in REFERENCE_PROFILES:
        raise UnknownTarget(f"the reference provider has no profile '{argument}'; there are: {' '.join(REFERENCE_PROFILES)}")
    # Its network is its own: namespaces would cost time and change nothing.
    return Target(name=f"reference:{argument}", provider=f"reference:{argument}", profile=argument, isolation="none",
                  text=f"The reference provider as {argument} asks")


def _shim(argument: str, profile: str) -> Target:
    if not argument:
        raise UnknownTarget("shim wants a command, or where one listens: 'shim:./myshim', shim:unix:PATH, shim:tcp:HOST:PORT")
    # One that is there already cannot follow into a scenario's own network.
    there_already = argument.startswith(("unix:", "tcp:"))
    return Target(name=f"shim:{argument}", provider=f"shim:{argument}", profile=profile,
                  isolation="none" if there_already else None)


def resolve_all(text: str, profile: str | None = None) -> list[Target]:
    """The targets that TARGET means to `run`: `reference` alone is every profile of it."""
    if text == "reference" and profile is None:
        return [_reference(name) for name in REFERENCE_PROFILES]
    return [resolve(text, profile)]


def lineage(profile: str) -> list[str]:
    """The profile and those that it inherits, nearest first. Raises UnknownTarget where there is none of this name."""
    with (paths.CATALOGUE / "profiles.toml").open("rb") as text:
        inherits = {entry["name"]: entry.get("inherits") for entry in tomllib.load(text)["profile"]}
    names: list[str] = []
    at: str | None = profile
    while at is not None:
        if at not in inherits:
            raise UnknownTarget(f"no profile '{at}'; there are: {' '.join(inherits)}")
        names.append(at)
        at = inherits[at]
    return names
