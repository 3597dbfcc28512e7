"""Every choice the simulators make where the real interfaces are not known, in one place.

None of this is law or documentation: it is what the simulators do, and the gateway keeps each of it in configuration
(`targets/*.yaml`, `gateway.yaml`). A choice that changes here must be found by the contract tests, not by a customer.
"""

ASSUMPTIONS: tuple[tuple[str, str], ...] = (
    ("annex of CV 1396 / CV 119 and its XSD", "not modelled; evidence is taken as opaque bytes"),
    (
        "ministry end-points for schools",
        "paths as the higher-education API: /connect/token, /co_so_giao_duc_input/db{n}",
    ),
    (
        "upstream error codes",
        "MAU-L01 identity, L02 certificate, L03 no citizen ID, L04 lower version held, L05 already in "
        "force, L06 this version held, L07 school data; texts marked as invented",
    ),
    (
        "batch sizes",
        "population 500 records and 8 MiB, sector 200 items and 8 MiB a packet, registry 200 codes; 413 above",
    ),
    ("rate limits", "none unless options.rate_per_s or the fault plan says so; then 429 with Retry-After in seconds"),
    ("time-outs and availability", "from the fault plan; maintenance is 503 for every path, nothing is processed"),
    ("C06 error codes and limits", "the population simulator answers JSON per record by id, in any order"),
    (
        "C06 authorization",
        "Basic of user and hex SHA-256 over service URL, user, timestamp, secret; milliseconds unless "
        "options.timestamp_unit says s; a timestamp more than options.clock_s off, or a wrong digest, is HTTP 401",
    ),
    (
        "C06 requests",
        "MaYeuCau is taken once for ever; MaDVC, MaCanBo, MaTichHop (003 confirm, 037 look up), an ID, name and birth "
        "date are mandatory, else a SOAP fault (Client) with HTTP 500; busy is a fault (Server) with HTTP 500",
    ),
    (
        "C06 names",
        "capitals; with or without diacritics as options.names says (exact, bare, either); a year of birth confirms a "
        "whole date",
    ),
    ("NDOP wire protocol", "JSON over HTTP with a bearer token; the hop is a contract file and can be replaced"),
    ("list of masogd", "not checked"),
    ("lists of QĐ 4998", "not checked"),
    ("citizen-ID prefixes for births after 1/7/2025", "every prefix is accepted"),
    ("format of the lifelong record code", "opaque, not checked"),
    ("vendor push formats", "no part of a target"),
    ("whether the two 2026 drafts were issued", "not: a record needs no status update after issue"),
    ("lengths in characters or bytes", "not checked by the simulators; the gateway assumes NFC characters"),
    ("wire casing", "lower case as in the sharing dictionary; UPdate as it is spelled there"),
    ("submission deadlines", "none"),
    ("whether the portal takes updates", "yes (purpose 02 replaces); options.updates=revoke_then_register refuses it"),
    ("fence of a receiver", "a version is applied only if larger than the largest held; the rest is answered as stale"),
    (
        "idempotency",
        "population: key and version; sector: a packet key is taken once, records by version. "
        "options.dedupe=key|version|none takes parts of it away; population says which version of a record it holds",
    ),
    ("a repeated packet key", "HTTP 200, success false, data.id_key; never processed again"),
    ("a revoke (purpose 03)", "names the version it revokes, or a higher one, which then becomes the fence"),
    (
        "packet replies",
        "items carry id_ban_ghi and phien_ban beside the published fields; found by key after an index delay",
    ),
    ("packet status", "00 landed, 01 processing, 03 replied, 04 reply read; 02 is never seen from outside"),
    ("signed bytes", "db16 takes them once per GUID; an item or packet that names an unknown t_k is refused (MAU-L02)"),
)


def banner(name: str) -> str:
    """The assumptions as text for a person, printed by each simulator at its start."""
    lines = [f"{name}: a simulator with invented answers. It assumes:"]
    lines += [f"  - {topic}: {choice}" for topic, choice in ASSUMPTIONS]
    return "\n".join(lines)
