"""A finding as a scenario in C++: a start for the test that keeps it from coming back."""

import re

from sockproof.findings import Finding

FLAVORS = {"inet": "SP_INET", "inet6": "SP_INET6", "dual": "SP_INET6", "unix": "SP_UNIX", "seqpacket": "SP_UNIX, SP_SEQPACKET",
           "udp": "SP_INET, SP_DATAGRAM", "udp6": "SP_INET6, SP_DATAGRAM", "unix_datagram": "SP_UNIX, SP_DATAGRAM",
           "conndata": "SP_CONNDATA"}
HOW = {"write": "SP_SHUT_WR", "read": "SP_SHUT_RD", "both": "SP_SHUT_RDWR"}
SPANS = {"1us": "std::chrono::microseconds(1)", "1ms": "std::chrono::milliseconds(1)", "50ms": "std::chrono::milliseconds(50)",
         "250ms": "std::chrono::milliseconds(250)", "1s": "std::chrono::seconds(1)", "5s": "std::chrono::seconds(5)",
         "70s": "std::chrono::seconds(70)", "300s": "std::chrono::seconds(300)"}
SETTINGS = {"linger_off": "SetLinger(false, 0)", "linger_0": "SetLinger(true, 0)", "linger_1": "SetLinger(true, 1)",
            "SO_RCVBUF_small": "Set(SP_SO_RCVBUF, 2304)", "SO_SNDBUF_small": "Set(SP_SO_SNDBUF, 4608)",
            "SO_RCVLOWAT": "Set(SP_SO_RCVLOWAT, 100)", "TCP_CORK_off": "Set(SP_TCP_CORK, 0)",
            "SO_RCVTIMEO": "SetDuration(SP_SO_RCVTIMEO, std::chrono::milliseconds(50))",
            "SO_SNDTIMEO": "SetDuration(SP_SO_SNDTIMEO, std::chrono::milliseconds(50))"}


def _address(place: str, family: str) -> str:
    if re.fullmatch(r"s\d", place):
        return f"{place}.LocalAddress()"
    if family == "SP_UNIX":
        return "Address::Unix(FreshPath())"
    return {"wildcard": f"Address::Any({family})", "unspec": "Address::Unspecified()",
            "port1": f"Address::Loopback({family}, 7001)", "port2": f"Address::Loopback({family}, 7002)",
            "wildcard_port1": f"Address::Any({family}, 7001)",
            "nobody": f"Address::Loopback({family}, 7009)"}.get(place, f"Address::Loopback({family})")


def _call(line: str, families: dict[str, str], seeds: dict[str, int]) -> str:
    made, _, rest = line.rpartition(" = ")
    name, *words = rest.split()
    on = words.pop(0) if words and "=" not in words[0] else ""
    more = dict(word.split("=", 1) for word in words)
    if name == "socket":
        kind = FLAVORS[more["flavor"]]
        families[made] = kind.split(",")[0]
        kind = kind if "," in kind else f"{kind}, SP_STREAM"
        return f"{made} = Socket::New({kind}, SP_NONBLOCKING);"
    if name == "pair":
        families[made] = families[more["second"]] = "SP_UNIX"
        kind = {"seqpacket": "SP_SEQPACKET", "datagram": "SP_DATAGRAM"}.get(more.get("type", ""), "SP_STREAM")
        return f"static_cast<void>(Must(Socket::MakePair({kind}, SP_NONBLOCKING, &{made}, &{more['second']})));"
    family = families.get(on, "SP_INET")
    if name == "accept":
        families[made] = family
        return f"{made} = std::move({on}.Accept({{SP_NONBLOCKING}}).socket);"
    if name == "duplicate":
        families[made] = family
        return f"static_cast<void>({on}.Duplicate(&{made}));"
    if name == "send":
        seed = seeds.setdefault(on, len(seeds) + 1)
        return f"static_cast<void>({on}.Send({{{seed}, 0, {more.get('length', '1')}}}));"
    calls = {"bind": f"{on}.Bind({_address(more.get('at', ''), family)})", "listen": f"{on}.Listen({more.get('backlog')})",
             "connect": f"{on}.Connect({_address(more.get('to', ''), family)})", "recv": f"{on}.Recv({more.get('room', '1')})",
             "shutdown": f"{on}.Shutdown({HOW.get(more.get('how', ''), more.get('how'))})", "close": f"{on}.Close()",
             "set": f"{on}.{SETTINGS.get(more.get('option', ''), 'Set(SP_' + more.get('option', '') + ', 1)')}",
             "get": f"{on}.Get(SP_{more.get('option')})", "local_name": f"{on}.LocalName()", "peer_name": f"{on}.PeerName()",
             "ready": f"Events({on}, {_events(more.get('events', 'in'))})",
             "ioctl": f"{on}.Ioctl(SP_IOCTL_{more.get('request', '').upper()}, 1)"}
    if name == "mode":
        return f"static_cast<void>({on}.{'GetModes()' if more.get('set') == 'get' else 'SetModes(SP_NONBLOCKING)'});"
    if name == "clock":
        return f"LetQuietTimePass({SPANS[more['by']]});"
    if name in calls:
        return f"static_cast<void>({calls[name]});"
    return f"// not a call of the face by itself: {line}"


def _events(text: str) -> str:
    return " | ".join(f"SP_{word.upper()}" for word in text.split("|")) if text != "none" else "0"


def scenario(found: Finding) -> str:
    """The scenario. What it is to check is for its author to say: the requirement, and where in the calls it shows."""
    lines = [line for line in found.script.splitlines() if line and not line.startswith("#")]
    families: dict[str, str] = {}
    seeds: dict[str, int] = {}
    places = sorted({place for line in lines for place in re.findall(r"\bs\d\b", line)})
    calls = [_call(line, families, seeds) for line in lines]
    rule = re.match(r"oracle\.(\S+)", found.cause)
    about = f"oracle rule {rule[1]}" if rule else found.cause
    head = "".join(f"// {line}\n" for line in [f"Finding {found.id}: {about}", *found.detail.splitlines()])
    body = "".join(f"  {line}\n" for line in [f"Socket {', '.join(places)};" if places else "", *calls] if line)
    return (f"{head}SCENARIO(Found, F{found.id}, /* the requirements that it checks */ On(kInet)) {{\n{body}"
            "  // CHECK_REQUIREMENT(..., what the last of these calls came to);\n}\n")
