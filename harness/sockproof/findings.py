"""Findings of the fuzzers: replayed until they are certain, made small, grouped by cause, and kept under an id that stays."""

import json
import re
import subprocess
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

TIMES = 10  # that a finding is replayed before it counts
FRAME = re.compile(r"#\d+ 0x[0-9a-f]+ in (.+?) (?:/|\()")
REPORT = re.compile(r"(?:AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer): (\S+)|runtime error: (.+)")
OURS = ("sockproof::",)
ENGINE = ("fuzz::", "LLVMFuzzer", "fuzzer::", "__asan", "__interceptor", "__sanitizer")


@dataclass
class Finding:
    """One cause. `steady` of `times` replays have shown it."""

    id: str
    cause: str
    fuzzer: str
    provider: str
    profile: str
    steady: int
    times: int
    found: str
    detail: str
    script: str
    operations: int


def id_of(cause: str) -> str:
    """The id of a cause: the same in every campaign (FNV-1a, 64 bits, the first eight digits)."""
    value = 0xcbf29ce484222325
    for byte in cause.encode():
        value = (value ^ byte) * 0x100000001b3 % (1 << 64)
    return f"{value:016x}"[:8]


def head_of(script: Path) -> dict[str, str]:
    """What the remarks at the top of a script say."""
    head: dict[str, str] = {}
    for line in script.read_text(encoding="utf-8", errors="replace").splitlines():
        if found := re.match(r"# (cause|fuzzer|provider|profile): (.*)", line):
            head.setdefault(found[1], found[2])
    return head


def replay(built: Path, script: Path, provider: str, profile: str, fuzzer: str, times: int = TIMES) -> dict[str, Any]:
    """Plays a script: what was wrong and how often, the trace, and what a sanitizer said."""
    done = subprocess.run([str(built / "sockproof-fuzz"), "--provider", provider, "--profile", profile, "--fuzzer", fuzzer,
                           "replay", str(script), "--times", str(times), "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", check=False, env=_environment())
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"causes": {"fuzzer.replay": times}, "details": {"fuzzer.replay": done.stderr.strip()}, "trace": [], "script": ""}
    for cause in [cause for cause in answer["causes"] if cause.startswith("crash")]:
        better = crash_of(done.stderr)
        if better is not None:
            answer["causes"][better] = answer["causes"].pop(cause)
            answer["details"][better] = answer["details"].pop(cause)
            answer.setdefault("shown_as", {})[better] = cause
    return answer


def _environment() -> dict[str, str]:
    import os
    return {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}


def crash_of(report: str) -> str | None:
    """A crash by what a sanitizer said: its kind, and the first function of an implementation in the stack."""
    kind = REPORT.search(report)
    if kind is None:
        return None
    frames = FRAME.findall(report[kind.start():])
    named = [frame for frame in frames if any(ours in frame for ours in OURS) and not any(of in frame for of in ENGINE)]
    where = (named or frames or ["nowhere"])[0]
    return f"crash {kind[1] or kind[2].split('0x')[0].strip()} in {re.sub(r'[(].*', '', where)}"


class Store:
    """The findings of one campaign, one file for each."""

    def __init__(self, folder: Path, built: Path | None) -> None:
        self.folder, self.built = folder, built

    def all(self) -> list[Finding]:
        """In the order of their ids."""
        if not self.folder.is_dir():
            return []
        return [Finding(**json.loads(file.read_text(encoding="utf-8"))) for file in sorted(self.folder.glob("*.json"))]

    def take(self, file: Path, provider: str, profile: str, fuzzer: str) -> Finding | None:
        """Looks at what a fuzzer has put aside: None if its cause is known already, or no replay shows it."""
        assert self.built is not None
        claimed = head_of(file).get("cause") if file.suffix == ".script" else None
        if claimed is not None and (self.folder / f"{id_of(claimed)}.json").exists():
            return None
        answer = replay(self.built, file, provider, profile, fuzzer)
        causes = answer["causes"]
        if claimed is not None and claimed in causes:
            causes = {claimed: causes[claimed]}
        first: Finding | None = None
        for cause, steady in causes.items():
            if (self.folder / f"{id_of(cause)}.json").exists():
                continue
            kept = self._keep(file, answer, cause, int(steady), provider, profile, fuzzer)
            first = first or kept
        return first

    def _keep(self, file: Path, answer: dict[str, Any], cause: str, steady: int, provider: str, profile: str,
              fuzzer: str) -> Finding:
        self.folder.mkdir(parents=True, exist_ok=True)
        assert self.built is not None
        script = self.folder / f"{id_of(cause)}.script"
        subprocess.run([str(self.built / "sockproof-fuzz"), "--provider", provider, "--profile", profile, "--fuzzer", fuzzer,
                        "minimise", str(file), "--cause", answer.get("shown_as", {}).get(cause, cause), "--output",
                        str(script)], stdin=subprocess.DEVNULL, capture_output=True, check=False, env=_environment())
        if not script.is_file():
            script.write_text(f"# cause: {cause}\n{answer['script']}", encoding="utf-8")
        text = script.read_text(encoding="utf-8", errors="replace")
        finding = Finding(id_of(cause), cause, fuzzer, provider, profile, steady, TIMES, f"{datetime.now():%Y-%m-%d %H:%M:%S}",
                          str(answer["details"].get(cause, "")), text,
                          sum(1 for line in text.splitlines() if line and not line.startswith("#")))
        torn = self.folder / f"{finding.id}.part"
        torn.write_text(json.dumps(asdict(finding), indent=1), encoding="utf-8")
        torn.rename(self.folder / f"{finding.id}.json")
        return finding
